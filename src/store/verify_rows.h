/*
 * verify_rows.h
 *		Rows of all users from anywhere in key_vault_data.secrets, for those who want
 *		to know whether they open.
 *
 * All of it runs as the extension's owner.  SPI need not be connected.
 */
#ifndef KV_VERIFY_ROWS_H
#define KV_VERIFY_ROWS_H

#include "store/rotation_rows.h"

/* About how many rows there are, as statistics and the table's size tell. */
extern double kv_verify_rows_estimate(void);

/*
 * Draws rows at random, a block's at a time: about percent of all, at most limit.
 * The answer is the length of *rows, which is palloc'd.
 */
extern int	kv_verify_rows_draw(float4 percent, int limit, KvRotationRow **rows);

/* All rows, the way of kv_rotation_rows_next(): those after *after, or the first. */
extern int	kv_verify_rows_next(const KvRotationRow *after, int limit, KvRotationRow **rows);

#endif							/* KV_VERIFY_ROWS_H */
