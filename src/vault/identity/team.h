/*
 * team.h
 *		Teams: owners of keys that serve those of their members who have none.
 *
 * The owner is the user id "team:" and the team's own id.  So a user id that begins
 * that way, and goes on, is a team's and nobody else's.
 */
#ifndef KV_TEAM_H
#define KV_TEAM_H

/*
 * The transaction's team or NULL: not a copy, and not terminated at *len by a NUL.
 * 1 to KV_TEAM_ID_MAX bytes.
 */
extern const char *kv_identity_team(int *len);

/* Whether a user id is a team's. */
extern bool kv_team_is(const text *user_id);

/* The team's own id in its user id, palloc'd. */
extern text *kv_team_id(const text *user_id);

/*
 * The user id of the team whose key serves where a user has none, palloc'd; NULL when
 * the transaction has no team, and for the user id of a team.
 */
extern text *kv_team_for(const text *user_id);

/* Whether a user id is that of the transaction's team. */
extern bool kv_team_is_own(const text *user_id);

/*
 * Whether a user of the transaction's team may see and change the team's keys: its token
 * may say so, and no setting does.
 */
extern bool kv_team_may_change(void);

#endif							/* KV_TEAM_H */
