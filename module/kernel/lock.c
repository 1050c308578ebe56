// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one lock of ktramp.
 */
#include "kernel/lock.h"

DEFINE_MUTEX(ktramp_mutex);
