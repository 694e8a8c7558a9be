/*
 * database_path.c
 *		Paths with the database's name in them.
 *
 * What is at the end of such a path is not known here.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "server/compat.h"
#include "server/database_path.h"
#include "server/errors.h"

bool
kv_database_path_is_valid(const char *pattern)
{
	for (const char *p = strchr(pattern, '%'); p != NULL; p = strchr(p + 2, '%'))
	{
		if (p[1] != 'd' && p[1] != '%')
			return false;
	}
	return true;
}

bool
kv_database_path_has_name(const char *pattern)
{
	for (const char *p = strchr(pattern, '%'); p != NULL && p[1] != '\0'; p = strchr(p + 2, '%'))
	{
		if (p[1] == 'd')
			return true;
	}
	return false;
}

char *
kv_database_name(void)
{
	char	   *name = get_database_name(MyDatabaseId);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("database with OID %u does not exist", MyDatabaseId)));
	if (strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("database \"%s\" can have no keyring of its own under this name", name),
				 errdetail("The name becomes a part of a path, which it would lead elsewhere: it must have no slash, and not be \".\" or \"..\"."),
				 errhint("Give the database another name with ALTER DATABASE ... RENAME TO.")));
	return name;
}

/* Puts together what stands for %d with the rest, each character of it by append. */
static char *
expand(const char *pattern, const char *name,
	   void (*append) (StringInfo path, char c))
{
	StringInfoData path;

	initStringInfo(&path);
	for (const char *p = pattern; *p != '\0'; p++)
	{
		if (*p != '%')
			append(&path, *p);
		else if (*++p == 'd')
			appendStringInfoString(&path, name);
		else
			append(&path, '%');
	}
	return path.data;
}

static void
append_plain(StringInfo path, char c)
{
	appendStringInfoCharMacro(path, c);
}

/* What a shell takes for itself within double quotes. */
static void
append_escaped(StringInfo path, char c)
{
	if (strchr("\\\"$`", c) != NULL)
		appendStringInfoCharMacro(path, '\\');
	appendStringInfoCharMacro(path, c);
}

char *
kv_database_path(const char *pattern)
{
	if (!kv_database_path_is_valid(pattern))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("path \"%s\" has a per cent that stands for nothing", pattern),
				 errhint("%%d stands for the database's name, %%%% for a per cent.")));
	return expand(pattern,
				  kv_database_path_has_name(pattern) ? kv_database_name() : "",
				  append_plain);
}

char *
kv_database_path_for_shell(const char *pattern, const char *variable)
{
	return psprintf("\"%s\"", expand(pattern, psprintf("${%s}", variable), append_escaped));
}
