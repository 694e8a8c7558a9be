/*
 * expiring_rows.h
 *		What expires soon, of all users.
 */
#ifndef KV_EXPIRING_ROWS_H
#define KV_EXPIRING_ROWS_H

#include "funcapi.h"
#include "utils/timestamp.h"

/*
 * Puts the rows (user_id, provider, label, version, hint, expires_at) into a function's
 * result: current secrets that have not expired, and will within that time.  Reads as the
 * extension's owner, because who asks need not be one who may read the inventory.
 */
extern void kv_expiring_rows_report(const Interval *within, Tuplestorestate *result);

#endif							/* KV_EXPIRING_ROWS_H */
