// SPDX-License-Identifier: GPL-2.0-only
/* Text is written here as ktramp writes it. */
#include "kernel/text.c"
