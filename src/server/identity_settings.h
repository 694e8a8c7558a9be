/*
 * identity_settings.h
 *		The settings that say what a token says: key_vault.user_id, team_id, identity_until.
 *
 * They are for parallel workers and for who looks; nobody here decides by them.
 */
#ifndef KV_IDENTITY_SETTINGS_H
#define KV_IDENTITY_SETTINGS_H

#include "datatype/timestamp.h"

/* Registers the callbacks; once a process. */
extern void kv_identity_settings_init(void);

/* As SET LOCAL, with the rights of the extension.  until: microseconds since 1970. */
extern void kv_identity_settings_set(const char *user_id, const char *team_id, int64 until);

/*
 * The same, but not before another statement of this transaction runs: most end without
 * one.  Until then they are shown as if they were set.  For the only call of a statement,
 * outside of subtransactions and blocks.
 */
extern void kv_identity_settings_set_late(const char *user_id, const char *team_id, int64 until);

/* Whether there is something to set, and sets it. */
extern bool kv_identity_settings_are_late;
extern void kv_identity_settings_catch_up(void);

/* For SHOW. */
extern const char *kv_identity_settings_show_user_id(void);
extern const char *kv_identity_settings_show_team_id(void);
extern const char *kv_identity_settings_show_until(void);

#endif							/* KV_IDENTITY_SETTINGS_H */
