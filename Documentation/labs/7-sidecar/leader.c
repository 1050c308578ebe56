// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process whose first thread ends before the process does.
 *
 * usage: leader	the first thread exits; the second one goes on, then exit(7)
 *        leader exec	the second thread becomes another program, which ends with 9
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *second(void *arg)
{
	sleep(1);
	if (arg)
		execl("/bin/sh", "sh", "-c", "sleep 3; exit 9", NULL);
	sleep(3);
	exit(7);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, second, argc > 1 ? argv[1] : NULL))
		return 1;
	if (argc > 1)
		pause();
	/* The thread, not the process. */
	pthread_exit(NULL);
}
