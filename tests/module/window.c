// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tests look at, and not every kernel shows. To who reads it, the text of the kernel and of
 * its modules, as /proc/kcore does: what ktramp wrote is not read with ktramp's own code. To who
 * maps it, the registers of the local APIC, as /dev/mem does.
 */
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
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

static int map_apic(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	return io_remap_pfn_range(vma, vma->vm_start, APIC_DEFAULT_PHYS_BASE >> PAGE_SHIFT,
				  PAGE_SIZE, pgprot_noncached(vma->vm_page_prot));
}

static const struct file_operations window_fops = {
	.owner = THIS_MODULE,
	.read = read_text,
	.mmap = map_apic,
	.llseek = default_llseek,
};

static struct miscdevice window_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ktramp_window",
	.fops = &window_fops,
	.mode = 0600,
};

module_misc_device(window_device);

MODULE_DESCRIPTION("Shows ktramp's tests the kernel's text and the local APIC");
MODULE_LICENSE("GPL");
