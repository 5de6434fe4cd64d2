#include "sim/sim_name.h"

#include "base/crypto.h"
#include <stdio.h>
#include <string.h>

struct sim_name sim_name_of(const void *head, size_t head_length, const void *text, size_t length)
{
	struct sim_name name;
	if (head_length)
		memcpy(name.bytes, head, head_length);
	name.length = head_length + length;
	if (name.length < sizeof(name.bytes)) {
		if (length)
			memcpy(name.bytes + head_length, text, length);
		return name;
	}
	name.bytes[head_length] = 0xff; /* never in UTF-8: a hash cannot be taken for a text */
	crypto_sha256(name.bytes + head_length + 1, text, length);
	name.length = head_length + 1 + CRYPTO_SHA256;
	return name;
}

struct sim_name sim_name_text(const char *text)
{
	return sim_name_of(NULL, 0, text, strlen(text));
}

static size_t append_lower(char *out, size_t length, size_t room, const char *text)
{
	for (; *text && length < room; text++)
		out[length++] = *text >= 'A' && *text <= 'Z' ? (char)(*text | 0x20) : *text;
	return length;
}

struct sim_name sim_name_lower(const char *text, const char *rest)
{
	char both[600];
	size_t length = append_lower(both, 0, sizeof(both), text);
	length = append_lower(both, length, sizeof(both), "/");
	length = append_lower(both, length, sizeof(both), rest);
	return sim_name_of(NULL, 0, both, length);
}

void *sim_name_get(const struct map *map, const struct sim_name *name)
{
	return map_get(map, name->bytes, name->length);
}

void *sim_name_put(struct map *map, const struct sim_name *name, void *value)
{
	return map_put(map, name->bytes, name->length, value);
}

void *sim_name_remove(struct map *map, const struct sim_name *name)
{
	return map_remove(map, name->bytes, name->length);
}

void sim_generated_name(unsigned i, char project[32], char slug[32])
{
	snprintf(project, 32, "GEN%u", i / 100);
	snprintf(slug, 32, "repo-%u", i);
}
