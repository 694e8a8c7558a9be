/*
 * dotenv_attributes.c
 *		The attributes that stand beside a key in the .env file, under development.
 */
#include "postgres.h"

#include "server/compat.h"
#include "server/settings.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/secrets/dotenv_attributes.h"
#include "vault/secrets/secrets.h"

static void
push_text(KvJsonbState *state, JsonbIteratorToken token, char *data, int len)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = data;
	value.val.string.len = len;
	kv_push_jsonb(state, token, &value);
}

/* What a variable holds, or NULL. */
static text *
read_variable(const char *variable)
{
	KvDotenvObstacle why;
	text	   *value = kv_secret_try_variable(variable, &why);

	if (value == NULL && why.code != 0)
		kv_dotenv_report_obstacle(ERROR, &why);
	return value;
}

Jsonb *
kv_dotenv_attributes(const KvSecretTarget *target)
{
	KvJsonbState state = {0};
	bool		any = false;

	kv_push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < target->attribute_var_count; i++)
	{
		const KvAttributeVariable *var = &target->attribute_vars[i];
		text	   *value = read_variable(var->variable);

		if (value == NULL)
			continue;
		push_text(&state, WJB_KEY, var->attribute, strlen(var->attribute));
		push_text(&state, WJB_VALUE, VARDATA(value), VARSIZE(value) - VARHDRSZ);
		any = true;
	}
	kv_push_jsonb(&state, WJB_END_OBJECT, NULL);
	return any ? JsonbValueToJsonb(state.result) : NULL;
}

static const char *
variable_of(const KvSecretTarget *target, const JsonbValue *name)
{
	for (int i = 0; i < target->attribute_var_count; i++)
	{
		const char *attribute = target->attribute_vars[i].attribute;

		if (strlen(attribute) == (size_t) name->val.string.len &&
			memcmp(attribute, name->val.string.val, name->val.string.len) == 0)
			return target->attribute_vars[i].variable;
	}
	return NULL;
}

char *
kv_dotenv_attribute_without_variable(const KvSecretTarget *target, Jsonb *attributes)
{
	JsonbIterator *iterator;
	JsonbValue	name;
	JsonbValue	value;

	if (attributes == NULL)
		return NULL;
	iterator = JsonbIteratorInit(&attributes->root);
	(void) JsonbIteratorNext(&iterator, &name, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		/* an empty variable counts as none */
		if (value.type != jbvString || value.val.string.len == 0 ||
			variable_of(target, &name) == NULL)
			return pnstrdup(name.val.string.val, name.val.string.len);
	}
	return NULL;
}

/* The attribute's string, or NULL. */
static JsonbValue *
value_of(Jsonb *attributes, const char *attribute)
{
	return attributes == NULL ? NULL :
		getKeyJsonValueFromContainer(&attributes->root, attribute, strlen(attribute), NULL);
}

/* An odd one is taken away as well: it would stand beside the next key. */
static void
remove_variable(const char *variable)
{
	int			len;
	KvDotenvObstacle why;
	char	   *value = kv_dotenv_file_try_value(variable, &len, &why);

	if (value == NULL && why.code == 0)
		return;
	kv_dotenv_file_change(variable, NULL, 0);
	ereport(NOTICE,
			(errmsg("variable %s is removed from file \"%s\"", variable, kv_setting_dotenv_file),
			 errdetail("It belonged with the key that stood there.")));
}

void
kv_dotenv_attributes_change(const KvSecretTarget *target, Jsonb *attributes)
{
	for (int i = 0; i < target->attribute_var_count; i++)
	{
		const KvAttributeVariable *var = &target->attribute_vars[i];
		const JsonbValue *value = value_of(attributes, var->attribute);

		if (value == NULL)
			remove_variable(var->variable);
		else
			kv_dotenv_file_change(var->variable, value->val.string.val, value->val.string.len);
	}
}
