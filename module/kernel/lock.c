// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one lock of ktramp.
 */
#include "kernel/lock.h"

/* lock.h says what it protects. */
DEFINE_MUTEX(ktramp_mutex);
