/*
 * identity_settings.c
 *		Makes the settings say what the transaction's token says, at once or late.
 *
 * A setting costs more than a look at a token, and a transaction that takes one key by one
 * statement ends before anybody sees it.  What is late ends with the transaction as what was
 * set does; and what was caught up with in a subtransaction that is rolled back, is late again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "server/identity_settings.h"
#include "server/settings.h"

bool		kv_identity_settings_are_late = false;

static struct
{
	char		user_id[KV_USER_ID_MAX + 1];
	char		team_id[KV_TEAM_ID_MAX + 1];
	char		until[MAXINT8LEN + 1];
	int			set_in;			/* the level of the (sub)transaction, once they are set */
} late;

static void
set_local(const char *name, const char *now, const char *value)
{
	if (strcmp(now, value) != 0)
		(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}

static void
set_all(const char *user_id, const char *team_id, const char *until)
{
	set_local("key_vault.user_id", kv_setting_user_id, user_id);
	set_local("key_vault.team_id", kv_setting_team_id, team_id);
	set_local("key_vault.identity_until", kv_setting_identity_until, until);
}

void
kv_identity_settings_set(const char *user_id, const char *team_id, int64 until)
{
	char		text[MAXINT8LEN + 1];

	if (kv_identity_settings_are_late)
		kv_identity_settings_catch_up();
	pg_lltoa(until, text);
	set_all(user_id, team_id, text);
}

void
kv_identity_settings_set_late(const char *user_id, const char *team_id, int64 until)
{
	Assert(GetCurrentTransactionNestLevel() == 1);
	strlcpy(late.user_id, user_id, sizeof(late.user_id));
	strlcpy(late.team_id, team_id, sizeof(late.team_id));
	pg_lltoa(until, late.until);
	late.set_in = 0;
	kv_identity_settings_are_late = true;
}

void
kv_identity_settings_catch_up(void)
{
	late.set_in = GetCurrentTransactionNestLevel();
	kv_identity_settings_are_late = false;
	set_all(late.user_id, late.team_id, late.until);
}

static void
at_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		kv_identity_settings_are_late = false;
		late.set_in = 0;
	}
}

static void
at_end_of_part(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (late.set_in < level)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		late.set_in = level - 1;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		late.set_in = 0;
		kv_identity_settings_are_late = true;
	}
}

void
kv_identity_settings_init(void)
{
	RegisterXactCallback(at_end, NULL);
	RegisterSubXactCallback(at_end_of_part, NULL);
}

const char *
kv_identity_settings_show_user_id(void)
{
	return kv_identity_settings_are_late ? late.user_id : kv_setting_user_id;
}

const char *
kv_identity_settings_show_team_id(void)
{
	return kv_identity_settings_are_late ? late.team_id : kv_setting_team_id;
}

const char *
kv_identity_settings_show_until(void)
{
	return kv_identity_settings_are_late ? late.until : kv_setting_identity_until;
}
