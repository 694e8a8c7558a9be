/*
 * settings.h
 *		Every setting of key_vault, as the rest of the code reads it.
 *
 * Defined in settings.c and nowhere else.  The strings are never NULL once
 * kv_settings_define() has run; an empty string means "not set".
 */
#ifndef KV_SETTINGS_H
#define KV_SETTINGS_H

/* What the user ids of teams begin with, before the team's own id. */
#define KV_TEAM_PREFIX "team:"
#define KV_TEAM_PREFIX_LEN 5

/* The longest user id and team id, in bytes of the server encoding. */
#define KV_USER_ID_MAX 255
#define KV_TEAM_ID_MAX (KV_USER_ID_MAX - KV_TEAM_PREFIX_LEN)

typedef enum KvHintMode
{
	KV_HINT_NONE,
	KV_HINT_LAST4
} KvHintMode;

/* What set does with a key that is odd. */
typedef enum KvCheckKeys
{
	KV_CHECK_KEYS_WARN,
	KV_CHECK_KEYS_REFUSE
} KvCheckKeys;

typedef enum KvModeSetting
{
	KV_MODE_AUTO,
	KV_MODE_DEVELOPMENT,
	KV_MODE_PRODUCTION
} KvModeSetting;

/* When a call that asks for a key has left its record. */
typedef enum KvAuditSetting
{
	KV_AUDIT_OFF,				/* it leaves none */
	KV_AUDIT_ASYNC,				/* in memory, and on disk within a second */
	KV_AUDIT_DURABLE			/* on disk */
} KvAuditSetting;

extern char *kv_setting_user_id;	/* key_vault.user_id: the identity */
extern char *kv_setting_team_id;	/* key_vault.team_id: the identity's team */
extern char *kv_setting_identity_until;	/* key_vault.identity_until: internal; see identity.c */
extern char *kv_setting_keyring_file;	/* absolute path, as in database_path.h */
extern char *kv_setting_keyring_command;	/* wins over the file */
extern int	kv_setting_keyring_command_timeout; /* milliseconds */
extern char *kv_setting_dotenv_file;	/* absolute path */
extern int	kv_setting_mode;	/* a KvModeSetting */
extern int	kv_setting_hint;	/* a KvHintMode */
extern int	kv_setting_check_keys;	/* a KvCheckKeys */
extern int	kv_setting_keep_versions;	/* previous versions kept, 0 or more */
extern bool kv_setting_redact;	/* whether the log is kept free of secrets */
extern int	kv_setting_purge_after; /* minutes since expiry; -1: never */
extern int	kv_setting_audit;	/* a KvAuditSetting */
extern int	kv_setting_audit_timeout;	/* milliseconds */
extern int	kv_setting_audit_keep;	/* minutes; -1: for ever */
extern bool kv_setting_track_last_use;	/* whether uses of keys are counted */

extern void kv_settings_define(void);

/*
 * Grows whenever a setting that says where root keys come from may have
 * changed in this process.
 */
extern uint64 kv_settings_keyring_generation(void);

#endif							/* KV_SETTINGS_H */
