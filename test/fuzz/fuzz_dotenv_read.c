/*
 * fuzz_dotenv_read.c
 *		Both readers go through any text from its start to its end, what they find lies
 *		where they say, and a variable's value is what both read.
 */
#include <stdint.h>
#include <string.h>

#include "format/dotenv.h"
#include "format/dotenv_readers.h"
#include "require.h"

#define NAME	"KEY"

/* What one reader reads for NAME. */
typedef struct Answer
{
	bool		found;
	char	   *value;
	size_t		len;
	size_t		line;
} Answer;

static void
check_place(const KvDotenvReader *reader, const KvDotenvEntry *entry)
{
	const char *text = reader->bytes.text;

	require(entry->start < entry->end && entry->end <= reader->bytes.len);
	require(entry->line >= 1);
	require(entry->name >= entry->start && entry->name_len > 0);
	require(entry->name + entry->name_len <= entry->end);
	if (!entry->has_value)
		return;
	require(entry->equals >= entry->name + entry->name_len);
	require(text[entry->equals] == '=' || text[entry->equals] == ':');
	require(entry->value > entry->equals);
	require(entry->value_len == 0 || entry->value + entry->value_len <= entry->end);
	require(entry->quote == '\0' ||
			(entry->value_len >= 2 && text[entry->value] == entry->quote &&
			 text[entry->value + entry->value_len - 1] == entry->quote));
}

static void
take_answer(const KvDotenvReader *reader, const KvDotenvEntry *entry,
			size_t (*decode) (const char *text, const KvDotenvEntry *entry, char *out),
			Answer *answer)
{
	char	   *value = malloc(entry->value_len);
	size_t		len = decode(reader->bytes.text, entry, value);

	require(len <= entry->value_len);
	if (entry->name_len == strlen(NAME) &&
		memcmp(reader->bytes.text + entry->name, NAME, strlen(NAME)) == 0)
	{
		free(answer->value);
		answer->found = entry->has_value;
		answer->value = value;
		answer->len = len;
		answer->line = entry->has_value ? entry->line : 0;
	}
	else
		free(value);
}

static Answer
read_as_python(const char *text, size_t size)
{
	KvDotenvReader reader;
	KvDotenvEntry entry;
	KvDotenvFound found;
	Answer		answer = {0};
	size_t		end = 0;

	kv_dotenv_begin(&reader, text, size);
	while ((found = kv_dotenv_python_next(&reader, &entry)) != KV_DOTENV_END)
	{
		require(entry.start >= end && reader.offset == entry.end);
		end = entry.end;
		if (found != KV_DOTENV_ENTRY)
			continue;
		check_place(&reader, &entry);
		if (entry.has_value)
			take_answer(&reader, &entry, kv_dotenv_python_decode, &answer);
		else if (entry.name_len == strlen(NAME) && memcmp(text + entry.name, NAME, strlen(NAME)) == 0)
			answer.found = false;
	}
	return answer;
}

static Answer
read_as_npm(const char *text, size_t size)
{
	KvDotenvReader reader;
	KvDotenvEntry entry;
	Answer		answer = {0};
	size_t		name = 0;
	bool		first = true;

	kv_dotenv_begin(&reader, text, size);
	while (kv_dotenv_npm_next(&reader, &entry))
	{
		require(first || entry.name > name);
		first = false;
		name = entry.name;
		check_place(&reader, &entry);
		take_answer(&reader, &entry, kv_dotenv_npm_decode, &answer);
	}
	require(reader.offset == size);
	return answer;
}

static void
check_odd_lines(const char *text, size_t size)
{
	size_t		lines[64];
	size_t		count = kv_dotenv_odd_lines(text, size, lines, 64);

	for (size_t i = 0; i < count && i < 64; i++)
		require(lines[i] > (i > 0 ? lines[i - 1] : 0) && lines[i] <= size + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	KvDotenvValue value = {.size = size, .data = malloc(size)};
	Answer		python = read_as_python(text, size);
	Answer		npm = read_as_npm(text, size);
	size_t		line;
	KvStatus	status = kv_dotenv_get(text, size, NAME, &value, &line);

	check_odd_lines(text, size);
	if (status == KV_OK && value.found)
	{
		require(python.found && npm.found && value.len == npm.len);
		require(npm.len == 0 || memcmp(value.data, npm.value, npm.len) == 0);
		require(python.len == npm.len || (npm.len == 0 && python.value[0] == '#'));
		require(value.python_line == python.line && value.npm_line == npm.line);
		require(line == 0);
	}
	else if (status == KV_OK)
		require(!python.found && !npm.found && line == 0);
	else if (status == KV_AMBIGUOUS)
		require((python.found || npm.found) && line > 0);
	else
		require(status == KV_SYNTAX && memchr(text, '\0', size) != NULL && line > 0);
	free(python.value);
	free(npm.value);
	free(value.data);
	return 0;
}
