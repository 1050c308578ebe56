// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's image and its modules as a file, for live_test: not every kernel has a
 * /proc/kcore. What ktramp wrote is not read with ktramp's own code.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <asm/page.h>

static ssize_t read_text(struct file *file, char __user *to, size_t size, loff_t *at)
{
	size_t done = 0;
	u8 part[512];

	/* The last page of the addresses is nobody's. */
	if (*at < 0 || *at >= -PAGE_SIZE - __START_KERNEL_map)
		return 0;
	size = min_t(size_t, size, -PAGE_SIZE - __START_KERNEL_map - *at);
	while (done < size) {
		size_t n = min(size - done, sizeof(part));

		if (copy_from_kernel_nofault(part, (void *)__START_KERNEL_map + *at, n) ||
		    copy_to_user(to + done, part, n))
			break;
		done += n;
		*at += n;
		cond_resched();
	}
	return done ?: size ? -EFAULT : 0;
}

static const struct file_operations read_fops = {
	.owner = THIS_MODULE,
	.read = read_text,
	.llseek = default_llseek,
};

static struct miscdevice read_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ktramp_read",
	.fops = &read_fops,
	.mode = 0400,
};

module_misc_device(read_device);

MODULE_DESCRIPTION("Shows the kernel's text to ktramp's tests");
MODULE_LICENSE("GPL");
