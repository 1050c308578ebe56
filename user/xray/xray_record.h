/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the guest's side of an x-ray share. */
#ifndef _KTRAMP_XRAY_RECORD_H
#define _KTRAMP_XRAY_RECORD_H

#include "../../qemu/xray.h"
#include "lib/ktramp.h"

struct xray_path;

void xray_start_at(struct xray *x, uint64_t begin, const struct xray_range *end, unsigned int nr);
int xray_end(struct xray *x, uint64_t *hits, uint64_t *lost);			/* complains */
int xray_write(struct xray *x, const struct dev *dev, const struct row *row,
	       const struct ktramp_target_info *target, const struct ktramp_probe_info *probe,
	       bool armed, const struct ktramp_run *run);			/* complains */

/* 0, or -ENODEV: there is no plugin. */
int xray_give_order(struct xray_order *order, uint32_t command);

/* xray_admit.c */
struct xray_path *xray_path_new(void);
void xray_path_free(struct xray_path *path);
int xray_path_add(struct xray_path *path, struct xray_order *order);
/* Complains. */
int xray_path_write(struct xray_path *path, const struct dev *dev, FILE *file);

#endif /* _KTRAMP_XRAY_RECORD_H */
