/*
 * dotenv_words.c
 *		What is said of a .env file of which not all can be read.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "server/encoding.h"
#include "server/errors.h"
#include "vault/laptop/dotenv_words.h"

#define LINES_TOLD 10

static KvDotenvObstacle
obstacle(int code, const char *message, const char *detail, const char *hint)
{
	KvDotenvObstacle why = {code, message, detail, hint};

	return why;
}

/* Where each of the readers finds it. */
static char *
readings(const KvDotenvValue *value)
{
	if (value->npm_line == 0)
		return psprintf("python-dotenv takes it from line %zu, and npm's dotenv does not find it.",
						value->python_line);
	if (value->python_line == 0)
		return psprintf("npm's dotenv takes it from line %zu, and python-dotenv does not find it.",
						value->npm_line);
	if (value->python_line != value->npm_line)
		return psprintf("python-dotenv takes it from line %zu, and npm's dotenv from line %zu.",
						value->python_line, value->npm_line);
	return psprintf("python-dotenv and npm's dotenv do not read the same value at line %zu.",
					value->python_line);
}

KvDotenvObstacle
kv_dotenv_ambiguous(const char *name, const KvDotenvValue *value, const char *where)
{
	return obstacle(KV_ERRCODE_KEYRING,
					psprintf("variable %s of %s is ambiguous", name, where),
					readings(value),
					psprintf("Write it on a line of its own, as %s='...', without ${...} and backslashes.",
							 name));
}

KvDotenvObstacle
kv_dotenv_not_text(const char *name, const KvDotenvValue *value, const char *where)
{
	return obstacle(KV_ERRCODE_KEYRING,
					psprintf("variable %s of %s is not valid UTF-8", name, where),
					psprintf("It stands at line %zu.", value->python_line),
					"Save the file in UTF-8.");
}

KvDotenvObstacle
kv_dotenv_not_in_encoding(const char *name, const KvDotenvValue *value, const char *where)
{
	return obstacle(ERRCODE_UNTRANSLATABLE_CHARACTER,
					psprintf("variable %s of %s has a character without equivalent in encoding \"%s\"",
							 name, where, GetDatabaseEncodingName()),
					psprintf("It stands at line %zu.", value->python_line),
					KV_ENCODING_HINT);
}

void
kv_dotenv_report_obstacle(int level, const KvDotenvObstacle *why)
{
	ereport(level,
			(errcode(why->code),
			 errmsg("%s", why->message),
			 errdetail("%s", why->detail),
			 errhint("%s", why->hint),
			 errhidestmt(true), errhidecontext(true)));
}

char *
kv_dotenv_odd_lines_message(const char *text, Size len, const char *where)
{
	size_t		lines[LINES_TOLD];
	size_t		count = kv_dotenv_odd_lines(text, len, lines, LINES_TOLD);
	StringInfoData message;

	if (count == 0)
		return NULL;
	initStringInfo(&message);
	for (size_t i = 0; i < Min(count, LINES_TOLD); i++)
		appendStringInfo(&message, "%s%zu",
						 i == 0 ? (count == 1 ? "line " : "lines ") :
						 i + 1 == count ? " and " : ", ", lines[i]);
	if (count > LINES_TOLD)
		appendStringInfo(&message, " and %zu more", count - LINES_TOLD);
	appendStringInfo(&message, " of %s %s odd", where, count == 1 ? "is" : "are");
	return message.data;
}

void
kv_dotenv_warn_of_odd_lines(const char *message)
{
	ereport(WARNING,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("%s", message),
			 errdetail("Python-dotenv, npm's dotenv or both take no variable from there. All others are read."),
			 errhint("Write NAME='value' on a line, or a # in front of what is no variable."),
			 errhidestmt(true), errhidecontext(true)));
}
