/*
 * serving.h
 *		Whose key serves a call: the user's own, or where there is none the one of the
 *		transaction's team.
 *
 * A key of one's own whose time is over is one, too: who has set a key has chosen who
 * pays, and who sees what is sent.  The team's does not take its place unasked.
 *
 * The user has been checked (identity.h).  The team's rows are read while the call acts
 * for the team, so that the table's policies decide, and the identity is left as it was.
 */
#ifndef KV_SERVING_H
#define KV_SERVING_H

#include "store/secret_rows.h"

/* The current row of a secret, sealed, and the name that it is stored under. */
typedef struct KvServing
{
	KvSecretName name;			/* its user_id is the owner's */
	KvSecretRow row;
} KvServing;

/* False when there is neither.  The row may have expired. */
extern bool kv_serving_find(const KvSecretName *name, KvServing *serving);

/*
 * What serves under the label "default", one for each provider, expired ones too:
 * *serving is palloc'd, the answer its length.
 */
extern uint64 kv_serving_of_user(text *user_id, KvServing **serving);

/* The one for a provider, or NULL. */
extern const KvServing *kv_serving_for(const KvServing *serving, uint64 count,
									   const text *provider);

/* Whether the owner is a team: the one that the call names, too. */
extern bool kv_serving_is_of_team(const KvServing *serving);

/* What source() says of it. */
#define KV_SERVING_SOURCE(serving) (kv_serving_is_of_team(serving) ? "team" : "user")

/*
 * The key, which is handed out: noted for the audit, and counted.
 *
 * Errors: those of kv_open().
 */
extern text *kv_serving_hand_out(const KvServing *serving);

/* Counts that the key was handed out, with key_vault.track_last_use: who has opened it himself. */
extern void kv_serving_count_use(const KvServing *serving);

#endif							/* KV_SERVING_H */
