// SPDX-License-Identifier: GPL-2.0-only
/* The workload's network, on loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

#define SIZE	(128 * 1024)

static uint8_t in[SIZE], out[SIZE];

static bool loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool up = !ioctl(fd, SIOCGIFFLAGS, &ifr);

	ifr.ifr_flags |= IFF_UP;
	up = up && !ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return up;
}

static bool read_all(int fd, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = recv(fd, (char *)buf + done, size - done, 0);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

/* A child sends back what it is sent, so that it is seen whole, twice through the stack. */
static enum outcome stream(int listener, const struct sockaddr *to, socklen_t len)
{
	int fd, pid, family = to->sa_family, zero = 0;
	uint32_t sum;

	work_fill(in, SIZE, 7);
	sum = work_sum(in, SIZE);
	pid = fork();
	if (!pid) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		for (ssize_t n; (n = recv(fd, out, SIZE, 0)) > 0;)
			if (send(fd, out, n, MSG_NOSIGNAL) != n)
				_exit(1);
		_exit(shutdown(fd, SHUT_WR) ? 2 : 0);
	}
	fd = socket(family, SOCK_STREAM, 0);
	MUST(fd >= 0 && !connect(fd, to, len));
	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &zero, sizeof(zero));
	for (size_t done = 0, part; done < SIZE; done += part) {
		part = SIZE - done < 16384 ? SIZE - done : 16384;
		MUST(send(fd, in + done, part, 0) == (ssize_t)part);
		MUST(read_all(fd, out + done, part));
	}
	MUST(work_sum(out, SIZE) == sum && !shutdown(fd, SHUT_WR));
	MUST(recv(fd, out, 1, 0) == 0 && !work_join(pid));
	close(fd);
	close(listener);
	return RIGHT;
}

static int listen_on(struct sockaddr *at, socklen_t *len)
{
	int fd = socket(at->sa_family, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, at, *len) || listen(fd, 4) || getsockname(fd, at, len))
		return -1;
	return fd;
}

static enum outcome tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct tcp_info info;
	socklen_t len = sizeof(at), size = sizeof(info);
	int fd;

	MUST(loopback_up());
	fd = listen_on((void *)&at, &len);
	MUST(fd >= 0 && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
	MUST(stream(fd, (void *)&at, len) == RIGHT);
	/* Nobody listens there any more. */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(fd, (void *)&at, len) < 0 && errno == ECONNREFUSED);
	close(fd);
	return RIGHT;
}

static enum outcome tcp6(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(at);
	int fd;

	MUST(loopback_up());
	fd = listen_on((void *)&at, &len);
	NEED(fd >= 0);
	return stream(fd, (void *)&at, len);
}

static enum outcome udp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	char control[256];
	struct iovec part = { out, SIZE };
	struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from),
				  .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	socklen_t len = sizeof(at);

	MUST(loopback_up());
	work_fill(in, 20000, 8);
	MUST(!bind(a, (void *)&at, len) && !getsockname(a, (void *)&at, &len));
	MUST(!setsockopt(a, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof(one)));
	MUST(!setsockopt(a, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)));
	MUST(sendto(b, in, 20000, 0, (void *)&at, len) == 20000);
	MUST(recvmsg(a, &message, 0) == 20000 && !memcmp(in, out, 20000));
	MUST(message.msg_controllen > 0 && from.sin_family == AF_INET);
	MUST(!connect(b, (void *)&at, len) && send(b, in, 9, 0) == 9);
	MUST(recv(a, out, SIZE, MSG_PEEK) == 9 && recv(a, out, SIZE, 0) == 9);
	close(a);
	/* The answer is an ICMP error. */
	MUST(send(b, in, 9, 0) == 9 && recv(b, out, 9, 0) < 0 && errno == ECONNREFUSED);
	close(b);
	return RIGHT;
}

static enum outcome unix_sockets(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(at);
	union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	struct iovec part = { out, 4 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	int fd, pair[2], pipes[2], passed;

	snprintf(at.sun_path, sizeof(at.sun_path), "socket");
	unlink(at.sun_path);
	fd = listen_on((void *)&at, &len);
	MUST(fd >= 0 && stream(fd, (void *)&at, len) == RIGHT && !unlink("socket"));
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) && !pipe(pipes));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &pipes[1], sizeof(int));
	MUST(sendmsg(pair[0], &message, 0) == 4 && recvmsg(pair[1], &message, 0) == 4);
	memcpy(&passed, CMSG_DATA(cmsg), sizeof(int));
	MUST(write(passed, "p", 1) == 1 && read(pipes[0], out, 1) == 1 && out[0] == 'p');
	return RIGHT;
}

struct request {
	struct nlmsghdr header;
	struct rtgenmsg body;
};

static enum outcome netlink(void)
{
	static const int kinds[] = { RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETRULE,
				     RTM_GETNEIGH, RTM_GETQDISC };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	MUST(fd >= 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct request request = {
			.header = { .nlmsg_len = sizeof(request), .nlmsg_type = kinds[i],
				    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = i },
		};
		bool done = false;

		MUST(send(fd, &request, sizeof(request), 0) == sizeof(request));
		while (!done) {
			int n = recv(fd, out, SIZE, 0);
			struct nlmsghdr *h = (void *)out;

			MUST(n > 0);
			for (; NLMSG_OK(h, (unsigned int)n); h = NLMSG_NEXT(h, n)) {
				MUST(h->nlmsg_seq == i);
				done |= h->nlmsg_type == NLMSG_DONE ||
					h->nlmsg_type == NLMSG_ERROR;
			}
		}
	}
	close(fd);
	return RIGHT;
}

static const char *const network[] = {
	"ip link set lo up mtu 1500",
	"ip addr add 10.1.1.1/24 dev lo",
	"ip addr add fd00::1/64 dev lo",
	"ip route add 10.2.0.0/16 via 10.1.1.2",
	"ip route add blackhole 10.3.0.0/16",
	"ip -6 route add fd01::/64 dev lo",
	"ip rule add from 10.1.1.0/24 table 100",
	"ip neigh add 10.1.1.9 lladdr 00:11:22:33:44:55 dev lo nud permanent",
	"ip route get 10.2.3.4",
	"ip rule del table 100",
	"ping -c 2 -i 0.01 -s 3000 10.1.1.1",
	"ping6 -c 1 ::1",
	"ip -s link show",
	"ip addr del 10.1.1.1/24 dev lo",
	"ip tunnel show",
	"netstat -an",
	"route -n",
	"arp -n",
};

/* A network of its own, which is set up, used, and goes with the process. */
static enum outcome net_namespace(void)
{
	char line[160];

	NEED(!unshare(CLONE_NEWNET));
	for (size_t i = 0; i < sizeof(network) / sizeof(*network); i++) {
		snprintf(line, sizeof(line), "%s >/dev/null 2>&1", network[i]);
		if (system(line) && (i < 2 || i == 8 || i == 10)) {
			errno = i;
			return work_wrong(__FILE_NAME__, __LINE__, network[i]);
		}
	}
	MUST(udp() == RIGHT && tcp() == RIGHT);
	return RIGHT;
}

/* Every packet of loopback, as a sniffer sees it. */
static enum outcome packets(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), b = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = if_nametoindex("lo") };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bool seen = false;

	NEED(fd >= 0);
	MUST(loopback_up() && !bind(fd, (void *)&at, sizeof(at)));
	MUST(sendto(b, "sniffed", 7, 0, (void *)&to, sizeof(to)) == 7);
	while (!seen) {
		ssize_t n = recv(fd, out, SIZE, 0);

		MUST(n > 0);
		seen = n >= 7 && !memcmp(out + n - 7, "sniffed", 7);
	}
	close(fd);
	close(b);
	return RIGHT;
}

const struct part net_parts[] = {
	{ "tcp", tcp }, { "tcp6", tcp6 }, { "udp", udp }, { "unix", unix_sockets },
	{ "netlink", netlink }, { "net-namespace", net_namespace }, { "packets", packets }, { }
};
