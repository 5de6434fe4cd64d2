#include "base/update.h"

#include <stddef.h>
#include <string.h>

static const char *const STATES[] = {
    [UPDATE_INPROGRESS] = "INPROGRESS",
    [UPDATE_SUCCESSFUL] = "SUCCESSFUL",
    [UPDATE_FAILED] = "FAILED",
    [UPDATE_CANCELLED] = "CANCELLED",
};

static const char *const OUTCOMES[] = {
    [UPDATE_DELIVERED] = "delivered",
    [UPDATE_SUPERSEDED] = "superseded",
    [UPDATE_REJECTED] = "rejected",
    [UPDATE_EXPIRED] = "expired",
    [UPDATE_IGNORED] = "ignored",
    [UPDATE_DROPPED] = "rejected",
};

const char *update_state_name(enum update_state state)
{
	return STATES[state];
}

bool update_state_parse(const char *text, enum update_state *state)
{
	for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++) {
		if (strcmp(text, STATES[i]) == 0) {
			*state = (enum update_state)i;
			return true;
		}
	}
	return false;
}

bool update_state_final(enum update_state state)
{
	return state != UPDATE_INPROGRESS;
}

/* One component between slashes. The rules are those of git-check-ref-format(1). */
static bool ref_component_valid(const char *text, size_t length)
{
	static const char lock[] = ".lock";
	size_t lock_length = sizeof(lock) - 1;

	if (length == 0 || text[0] == '.')
		return false;
	return length < lock_length || memcmp(text + length - lock_length, lock, lock_length) != 0;
}

bool update_ref_valid(const char *ref)
{
	size_t length = strlen(ref);

	if (length > UPDATE_REF_MAX || strncmp(ref, "refs/", 5) != 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)ref[i] <= ' ' || ref[i] == 0x7f ||
		    strchr("~^:?*[\\", ref[i]) != NULL)
			return false;
	if (strstr(ref, "..") != NULL || strstr(ref, "@{") != NULL || ref[length - 1] == '.')
		return false;
	for (const char *at = ref;; at++) {
		size_t size = strcspn(at, "/");
		if (!ref_component_valid(at, size))
			return false;
		at += size;
		if (*at == '\0')
			return true;
	}
}

const char *update_outcome_name(enum update_outcome outcome)
{
	return OUTCOMES[outcome];
}
