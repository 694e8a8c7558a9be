/*
 * test_chain_mac.c
 *		The codes that chain the audit's records.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "crypto/chain_mac.h"
#include "tap.h"

static const uint8_t key[KV_CHAIN_KEY_LEN] = "0123456789abcdef0123456789abcde\xff";

static void
the_code_is_an_hmac_of_the_fields_with_their_lengths(void)
{
	static const uint8_t message[] = "\x01\x00\x00\x00\x03tag\x01\x00\x00\x00\x02" "ab\x00\x01\x00\x00\x00\x00";
	KvChainField fields[] = {{"ab", 2}, {NULL, 7}, {"", 0}};
	uint8_t		expected[KV_CHAIN_MAC_LEN];
	uint8_t		code[KV_CHAIN_MAC_LEN];
	unsigned	len = 0;
	KvChainMac *mac = kv_chain_mac_new(key);

	require(mac != NULL);
	require(HMAC(EVP_sha256(), key, sizeof(key), message, sizeof(message) - 1, expected, &len) != NULL);
	for (int i = 0; i < 3; i++)
	{
		check(kv_chain_mac(mac, "tag", fields, 3, code) == KV_OK);
		check(memcmp(code, expected, sizeof(code)) == 0);
	}
	kv_chain_mac_free(mac);
}

/* The fields of one message, one behind the other: short, long, absent, and long again. */
static size_t
spell(const KvChainField *fields, size_t count, uint8_t *message)
{
	size_t		at = 0;

	for (size_t i = 0; i < count; i++)
	{
		message[at++] = fields[i].data != NULL;
		if (fields[i].data == NULL)
			continue;
		for (int shift = 24; shift >= 0; shift -= 8)
			message[at++] = (uint8_t) (fields[i].len >> shift);
		memcpy(message + at, fields[i].data, fields[i].len);
		at += fields[i].len;
	}
	return at;
}

static void
fields_of_every_length_are_coded_whole(void)
{
	static uint8_t text[1200];
	static uint8_t message[4 * sizeof(text)];
	uint8_t		expected[KV_CHAIN_MAC_LEN];
	uint8_t		code[KV_CHAIN_MAC_LEN];
	unsigned	len = 0;
	KvChainMac *mac = kv_chain_mac_new(key);

	require(mac != NULL);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t) (i * 7);
	for (size_t i = 0; i <= sizeof(text); i++)
	{
		KvChainField fields[] = {{"tag", 3}, {"ab", 2}, {text, i}, {NULL, 7}, {text, sizeof(text) - i}, {"c", 1}};
		size_t		message_len = spell(fields, 6, message);

		require(HMAC(EVP_sha256(), key, sizeof(key), message, message_len, expected, &len) != NULL);
		check(kv_chain_mac(mac, "tag", fields + 1, 5, code) == KV_OK);
		check(memcmp(code, expected, sizeof(code)) == 0);
	}
	kv_chain_mac_free(mac);
}

static void
no_two_sequences_have_the_same_code(void)
{
	static const struct
	{
		const char *tag;
		KvChainField fields[3];
	}			sequences[] = {
		{"tag", {{"ab", 2}, {"c", 1}, {"", 0}}},
		{"tag", {{"a", 1}, {"bc", 2}, {"", 0}}},
		{"tag", {{"", 0}, {"abc", 3}, {"", 0}}},
		{"tag", {{"", 0}, {"", 0}, {"abc", 3}}},
		{"tag", {{NULL, 0}, {"", 0}, {"abc", 3}}},
		{"tag", {{"", 0}, {NULL, 0}, {"abc", 3}}},
		{"tag", {{"abc", 3}, {NULL, 0}, {NULL, 0}}},
		{"taga", {{"b", 1}, {"c", 1}, {"", 0}}},
		{"tag", {{"\0", 1}, {"abc", 3}, {"", 0}}}
	};
	enum
	{
		COUNT = sizeof(sequences) / sizeof(sequences[0])
	};
	uint8_t		codes[COUNT][KV_CHAIN_MAC_LEN];
	KvChainMac *mac = kv_chain_mac_new(key);

	require(mac != NULL);
	for (int i = 0; i < COUNT; i++)
	{
		check(kv_chain_mac(mac, sequences[i].tag, sequences[i].fields, 3, codes[i]) == KV_OK);
		for (int j = 0; j < i; j++)
			check(memcmp(codes[i], codes[j], KV_CHAIN_MAC_LEN) != 0);
	}
	kv_chain_mac_free(mac);
}

static void
another_key_makes_another_code(void)
{
	uint8_t		random[KV_CHAIN_KEY_LEN];
	uint8_t		ours[KV_CHAIN_MAC_LEN];
	uint8_t		theirs[KV_CHAIN_MAC_LEN];
	KvChainField field = {"a", 1};
	KvChainMac *one = kv_chain_mac_new(key);
	KvChainMac *two;

	require(kv_chain_key_random(random) == KV_OK);
	two = kv_chain_mac_new(random);
	require(one != NULL && two != NULL);
	memset(random, 0, sizeof(random));	/* it is not needed any more */
	check(kv_chain_mac(one, "tag", &field, 1, ours) == KV_OK);
	check(kv_chain_mac(two, "tag", &field, 1, theirs) == KV_OK);
	check(memcmp(ours, theirs, sizeof(ours)) != 0);
	kv_chain_mac_free(one);
	kv_chain_mac_free(two);
	kv_chain_mac_free(NULL);
}

static void
a_code_may_take_the_place_of_a_field(void)
{
	uint8_t		chained[KV_CHAIN_MAC_LEN] = {0};
	uint8_t		apart[KV_CHAIN_MAC_LEN];
	uint8_t		before[KV_CHAIN_MAC_LEN] = {0};
	KvChainField field = {before, sizeof(before)};
	KvChainField same = {chained, sizeof(chained)};
	KvChainMac *mac = kv_chain_mac_new(key);

	require(mac != NULL);
	check(kv_chain_mac(mac, "tag", &field, 1, apart) == KV_OK);
	check(kv_chain_mac(mac, "tag", &same, 1, chained) == KV_OK);
	check(memcmp(apart, chained, sizeof(apart)) == 0);
	kv_chain_mac_free(mac);
}

int
main(void)
{
	run(the_code_is_an_hmac_of_the_fields_with_their_lengths);
	run(fields_of_every_length_are_coded_whole);
	run(no_two_sequences_have_the_same_code);
	run(another_key_makes_another_code);
	run(a_code_may_take_the_place_of_a_field);
	return finish();
}
