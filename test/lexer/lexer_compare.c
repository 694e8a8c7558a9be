/*
 * lexer_compare.c
 *		Compares the tokens that our scanner sees in a text with those of the server's
 *		own.
 */
#include "postgres.h"

#include <ctype.h>

#include "fmgr.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "format/sql_literals.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(compare_lexers);
PG_FUNCTION_INFO_V1(compare_wrongly);

/* The server's numbers for tokens, which PL/pgSQL relies on as well. */
enum
{
	IDENT = 258,
	UIDENT,
	FCONST,
	SCONST,
	USCONST,
	BCONST,
	XCONST,
	Op,
	ICONST,
	PARAM
};

typedef struct Mark
{
	KvSqlKind	kind;
	Size		start;
} Mark;

/* At most one mark a byte. */
typedef struct Marks
{
	Mark	   *marks;
	Size		count;
} Marks;

static void
mark(Marks *marks, KvSqlKind kind, Size start)
{
	marks->marks[marks->count++] = (Mark){kind, start};
}

/* What kind a token of the server's is; -1 for operators and punctuation. */
static int
kind_of(const char *text, int token, int location)
{
	switch (token)
	{
		case SCONST:
		case USCONST:
		case BCONST:
		case XCONST:
			return KV_SQL_STRING;
		case FCONST:
		case ICONST:
			return KV_SQL_NUMBER;
		case PARAM:
			return KV_SQL_PARAMETER;
		case UIDENT:
			return KV_SQL_QUOTED;
		case IDENT:
			return text[location] == '"' ? KV_SQL_QUOTED : KV_SQL_WORD;
		default:
			/* a keyword, which begins as a name does */
			return isalpha((unsigned char) text[location]) ? KV_SQL_WORD : -1;
	}
}

/* N'...' is a keyword and a string to the server. */
static bool
is_national(const char *text, int token, int location)
{
	return token != SCONST && (text[location] == 'n' || text[location] == 'N') &&
		text[location + 1] == '\'';
}

/* Until the end, or an error: then behind is false, and the text's rest is left out. */
static bool
scan_as_server(const char *text, Marks *marks)
{
	core_yy_extra_type extra;
	core_yyscan_t scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	MemoryContext caller = CurrentMemoryContext;
	volatile bool complete = true;

	PG_TRY();
	{
		core_YYSTYPE value;
		YYLTYPE		location;
		int			token;

		while ((token = core_yylex(&value, &location, scanner)) != 0)
		{
			int			kind;

			if (is_national(text, token, location))
			{
				token = core_yylex(&value, &location, scanner);
				location--;
			}
			kind = kind_of(text, token, location);
			if (kind >= 0)
				mark(marks, kind, location);
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		complete = false;
	}
	PG_END_TRY();
	scanner_finish(scanner);
	return complete;
}

static void
scan_as_ours(const char *text, bool backslashes, Marks *marks)
{
	KvSqlScanner scanner = {.text = text, .len = strlen(text), .backslashes = backslashes};
	KvSqlToken	token;

	while (kv_sql_next(&scanner, &token))
		if (token.kind != KV_SQL_SPACE && token.kind != KV_SQL_COMMENT && token.kind != KV_SQL_OTHER)
			mark(marks, token.kind, token.start);
}

/* NULL when both see the same, as far as the server gets; else where they differ. */
static char *
difference(const char *text, bool backslashes)
{
	Size		size = sizeof(Mark) * (strlen(text) + 1);
	Marks		server = {.marks = MemoryContextAllocHuge(CurrentMemoryContext, size)};
	Marks		ours = {.marks = MemoryContextAllocHuge(CurrentMemoryContext, size)};
	bool		complete = scan_as_server(text, &server);
	Size		i;

	scan_as_ours(text, backslashes, &ours);
	for (i = 0; i < server.count; i++)
		if (i == ours.count || server.marks[i].kind != ours.marks[i].kind ||
			server.marks[i].start != ours.marks[i].start)
			return psprintf("at %zu the server has kind %d: %.60s", server.marks[i].start,
							server.marks[i].kind, text + server.marks[i].start);
	if (complete && i < ours.count)
		return psprintf("at %zu the server has nothing: %.60s", ours.marks[i].start,
						text + ours.marks[i].start);
	return NULL;
}

static bool
backslashes_escape(void)
{
#if PG_VERSION_NUM < 190000
	return !standard_conforming_strings;
#else
	return false;
#endif
}

/* compare_lexers(sql text) returns text */
Datum
compare_lexers(PG_FUNCTION_ARGS)
{
	char	   *found = difference(text_to_cstring(PG_GETARG_TEXT_PP(0)), backslashes_escape());

	if (found == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(found));
}

/* compare_wrongly(sql text) returns text: as if the setting were the other way around. */
Datum
compare_wrongly(PG_FUNCTION_ARGS)
{
	char	   *found = difference(text_to_cstring(PG_GETARG_TEXT_PP(0)), !backslashes_escape());

	if (found == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(found));
}
