/*
 * dotenv_tool.c
 *		What dotenv_differential.py asks our reader and writer, one request a line.
 *
 *		get TEXT				ok NAME VALUE NAME VALUE ...
 *		set TEXT NAME VALUE		ok TEXT
 *		unset TEXT NAME			ok TEXT
 *
 * or "error CODE LINE".  All but the first words are hexadecimal, "-" when empty.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/dotenv.h"

typedef struct Bytes
{
	char	   *data;
	size_t		len;
} Bytes;

static int
hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The next word of the request, decoded, with a NUL behind it. */
static Bytes
take_bytes(void)
{
	const char *hex = strtok(NULL, " \n");
	Bytes		bytes;

	if (hex == NULL || strcmp(hex, "-") == 0)
		hex = "";
	bytes.len = strlen(hex) / 2;
	bytes.data = malloc(bytes.len + 1);
	for (size_t i = 0; i < bytes.len; i++)
		bytes.data[i] = (char) (hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	bytes.data[bytes.len] = '\0';
	return bytes;
}

static void
put_bytes(const char *data, size_t len)
{
	putchar(' ');
	if (len == 0)
		putchar('-');
	for (size_t i = 0; i < len; i++)
		printf("%02x", (unsigned char) data[i]);
}

static const char *
name_of(KvStatus status)
{
	switch (status)
	{
		case KV_SYNTAX:
			return "KV_SYNTAX";
		case KV_TOO_LARGE:
			return "KV_TOO_LARGE";
		case KV_UNREPRESENTABLE:
			return "KV_UNREPRESENTABLE";
		default:
			return "unexpected";
	}
}

static void
get(void)
{
	Bytes		text = take_bytes();
	char	   *value = malloc(text.len + 1);
	KvDotenvReader reader;
	KvDotenvEntry entry;
	bool		found = true;
	KvStatus	status = kv_dotenv_begin(&reader, text.data, text.len);

	/* Whether there is an error must be known before the first is printed */
	while (status == KV_OK && found)
		status = kv_dotenv_next(&reader, &entry, &found);
	if (status != KV_OK)
		printf("error %s %zu", name_of(status), reader.line);
	else
	{
		printf("ok");
		status = kv_dotenv_begin(&reader, text.data, text.len);
		while (status == KV_OK &&
			   (status = kv_dotenv_next(&reader, &entry, &found)) == KV_OK && found)
		{
			if (!entry.has_value)
				continue;
			put_bytes(text.data + entry.name, entry.name_len);
			put_bytes(value, kv_dotenv_decode(&reader, &entry, value));
		}
	}
	free(value);
	free(text.data);
}

static void
change(bool set)
{
	Bytes		text = take_bytes();
	Bytes		name = take_bytes();
	Bytes		value = {NULL, 0};
	char	   *out;
	size_t		out_len;
	size_t		line;
	KvStatus	status;

	if (set)
	{
		value = take_bytes();
		status = kv_dotenv_set(text.data, text.len, name.data, value.data, value.len,
							   &out, &out_len, &line);
	}
	else
		status = kv_dotenv_unset(text.data, text.len, name.data, &out, &out_len, &line);

	if (status == KV_OK)
	{
		printf("ok");
		put_bytes(out, out_len);
	}
	else
		printf("error %s %zu", name_of(status), line);
	kv_dotenv_free(out, out_len);
	free(value.data);
	free(name.data);
	free(text.data);
}

int
main(void)
{
	char	   *line = NULL;
	size_t		size = 0;

	while (getline(&line, &size, stdin) > 0)
	{
		const char *request = strtok(line, " \n");

		if (request == NULL)
			continue;
		if (strcmp(request, "get") == 0)
			get();
		else if (strcmp(request, "set") == 0)
			change(true);
		else if (strcmp(request, "unset") == 0)
			change(false);
		putchar('\n');
	}
	free(line);
	return 0;
}
