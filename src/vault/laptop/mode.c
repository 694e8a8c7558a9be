/*
 * mode.c
 *		Decides between development and production, for each call anew: what it
 *		depends on is cheap to ask.
 */
#include "postgres.h"

#include "server/settings.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/laptop/mode.h"

/* A variable: from the server's environment, then from the .env file. */
typedef struct Variable
{
	bool		is_set;
	bool		from_file;
	bool		is_true;		/* its value is "true" in any case */
} Variable;

static Variable
from_environment(const char *name)
{
	const char *value = getenv(name);
	Variable	variable = {0};

	variable.is_set = value != NULL;
	variable.is_true = value != NULL && pg_strcasecmp(value, "true") == 0;
	return variable;
}

static Variable
from_file(const char *name)
{
	Variable	variable = {0};
	int			len;
	char	   *value = kv_dotenv_file_value(name, &len);

	variable.from_file = true;
	variable.is_set = value != NULL;
	variable.is_true = value != NULL && len == strlen("true") &&
		pg_strncasecmp(value, "true", len) == 0;
	if (value != NULL)
		pfree(value);
	return variable;
}

static KvMode
answer(bool development, bool by_absence, const char *reason)
{
	KvMode		mode = {development, by_absence, reason};

	return mode;
}

KvMode
kv_mode(void)
{
	Variable	debug;
	Variable	deploy_env;

	if (kv_setting_mode == KV_MODE_PRODUCTION)
		return answer(false, false, "key_vault.mode is production");
	if (kv_setting_dotenv_file[0] == '\0')
		return answer(false, false, kv_setting_mode == KV_MODE_DEVELOPMENT ?
					  "key_vault.mode is development, but key_vault.dotenv_file is not set" :
					  "key_vault.dotenv_file is not set");
	if (kv_setting_mode == KV_MODE_DEVELOPMENT)
		return answer(true, false, "key_vault.mode is development");

	debug = from_environment("DEBUG");
	if (debug.is_true)
		return answer(true, false, "DEBUG is true in the server's environment");
	deploy_env = from_environment("DEPLOY_ENV");
	if (!debug.is_set)
		debug = from_file("DEBUG");
	if (debug.is_true)
		return answer(true, false, "DEBUG is true in the .env file");
	if (!deploy_env.is_set)
		deploy_env = from_file("DEPLOY_ENV");
	if (!deploy_env.is_set)
		return answer(true, true, "DEPLOY_ENV is not set");
	return answer(false, false, deploy_env.from_file ?
				  "DEBUG is not true, and DEPLOY_ENV is set in the .env file" :
				  "DEBUG is not true, and DEPLOY_ENV is set in the server's environment");
}

bool
kv_mode_is_development(void)
{
	/* production's hot path ends here */
	if (kv_setting_dotenv_file[0] == '\0' || kv_setting_mode == KV_MODE_PRODUCTION)
		return false;
	return kv_mode().development;
}
