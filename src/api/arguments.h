/*
 * arguments.h
 *		Unpacks what SQL passes.
 */
#ifndef KV_ARGUMENTS_H
#define KV_ARGUMENTS_H

#include "fmgr.h"
#include "server/compat.h"

/* An argument of type text, or NULL. */
#define KV_GETARG_TEXT_OR_NULL(n) (PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n))

#endif							/* KV_ARGUMENTS_H */
