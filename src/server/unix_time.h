/*
 * unix_time.h
 *		PostgreSQL's times, which count from 2000, as the rest of the world has them.
 */
#ifndef KV_UNIX_TIME_H
#define KV_UNIX_TIME_H

#include "datatype/timestamp.h"

/* Microseconds since 1970-01-01 00:00 UTC.  The time is finite. */
static inline int64
kv_unix_microseconds(TimestampTz time)
{
	return time + (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

#endif							/* KV_UNIX_TIME_H */
