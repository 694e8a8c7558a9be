/*
 * secret_writers.h
 *		Who is writing to key_vault_data.secrets.
 */
#ifndef KV_SECRET_WRITERS_H
#define KV_SECRET_WRITERS_H

/*
 * Waits for every other transaction that has written to the table, or locked it to write,
 * to end.  Holds nobody up: those that come later are not waited for.  A NOTICE says
 * which sessions it waits for.
 *
 * It waits for as long as lock_timeout says, or else a minute.  Errors: 55P03 after
 * that time.
 */
extern void kv_secret_writers_wait(void);

#endif							/* KV_SECRET_WRITERS_H */
