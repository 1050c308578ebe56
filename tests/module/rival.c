// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else with a kprobe, for race_test: each write of an address to /dev/ktramp_rival
 * registers one there, enabled at once or a moment later, and takes it away again.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

static int rival_hit(struct kprobe *kp, struct pt_regs *regs)
{
	return 0;
}
NOKPROBE_SYMBOL(rival_hit);

static ssize_t rival_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	struct kprobe kp = { .pre_handler = rival_hit };
	static unsigned int round;
	unsigned long addr;
	int err = kstrtoul_from_user(from, size, 16, &addr);

	if (err)
		return err;
	kp.addr = (kprobe_opcode_t *)addr;
	round++;
	if (round & 1)
		kp.flags = KPROBE_FLAG_DISABLED;
	err = register_kprobe(&kp);
	if (err)
		return err;
	if (round & 1)
		err = enable_kprobe(&kp);
	udelay(round % 8 * 20);
	unregister_kprobe(&kp);
	return err ?: size;
}

static const struct file_operations rival_fops = {
	.owner = THIS_MODULE,
	.write = rival_write,
};

static struct miscdevice rival_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ktramp_rival",
	.fops = &rival_fops,
	.mode = 0600,
};

module_misc_device(rival_device);

MODULE_DESCRIPTION("Registers kprobes where ktramp's tests arm theirs");
MODULE_LICENSE("GPL");
