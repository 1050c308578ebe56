/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_SCAN_H
#define KTRAMP_SCAN_H

struct ktramp_scan;

long ktramp_scan(struct ktramp_scan *scan);

#endif /* KTRAMP_SCAN_H */
