#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static char values[20000];

static void test_put_get_remove(void **state)
{
	struct map map;

	(void)state;
	map_init(&map);
	assert_null(map_get(&map, "a", 1));
	assert_null(map_remove(&map, "a", 1));
	assert_null(map_put(&map, "a", 1, &values[1]));
	assert_null(map_put(&map, "a\0", 2, &values[2]));
	assert_null(map_put(&map, "", 0, &values[3]));
	assert_ptr_equal(map_put(&map, "a", 1, &values[4]), &values[1]);
	assert_int_equal(map.count, 3);
	assert_ptr_equal(map_get(&map, "a", 1), &values[4]);
	assert_ptr_equal(map_get(&map, "a\0", 2), &values[2]);
	assert_ptr_equal(map_get(&map, NULL, 0), &values[3]);
	assert_ptr_equal(map_remove(&map, "a", 1), &values[4]);
	assert_null(map_get(&map, "a", 1));
	assert_int_equal(map.count, 2);
	map_free(&map);
	assert_null(map_get(&map, "", 0));
}

static void test_keys_are_copied_and_bounded(void **state)
{
	struct map map;
	char key[MAP_KEY_MAX + 1];

	(void)state;
	map_init(&map);
	memset(key, 'k', sizeof(key));
	map_put(&map, key, MAP_KEY_MAX, values);
	assert_null(map_get(&map, key, MAP_KEY_MAX + 1));
	assert_null(map_get(&map, key, MAP_KEY_MAX - 1));
	key[MAP_KEY_MAX - 1] = 'x';
	assert_null(map_get(&map, key, MAP_KEY_MAX));
	key[MAP_KEY_MAX - 1] = 'k';
	assert_ptr_equal(map_get(&map, key, MAP_KEY_MAX), values);
	assert_null(map_remove(&map, key, MAP_KEY_MAX + 1));
	map_free(&map);
}

static void *find(struct map *map, unsigned i)
{
	return map_get(map, &i, sizeof(i));
}

/* Against a plain array, over a pseudo-random walk of puts and removals. */
static void test_agrees_with_an_array(void **state)
{
	static bool present[1000];
	struct map map;
	uint32_t random = 12345;
	size_t count = 0;

	(void)state;
	map_init(&map);
	for (int step = 0; step < 100000; step++) {
		random = random * 1664525 + 1013904223;
		unsigned i = (random >> 8) % 1000;
		/* Grows in the first half, shrinks in the second. */
		bool put = (random >> 20) % 10 < (step < 50000 ? 7u : 2u);
		void *old = put ? map_put(&map, &i, sizeof(i), &values[i])
		                : map_remove(&map, &i, sizeof(i));
		assert_ptr_equal(old, present[i] ? &values[i] : NULL);
		count += put && !present[i] ? 1 : 0;
		count -= !put && present[i] ? 1 : 0;
		present[i] = put;
		assert_int_equal(map.count, count);
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_ptr_equal(find(&map, i), present[i] ? &values[i] : NULL);
	map_free(&map);
}

static void test_visits_each_once_and_gives_memory_back(void **state)
{
	static char seen[sizeof(values)];
	struct map map;
	size_t position = 0, visits = 0;

	(void)state;
	map_init(&map);
	assert_null(map_next(&map, &position));
	for (unsigned i = 0; i < sizeof(values); i++)
		map_put(&map, &i, sizeof(i), &values[i]);
	for (char *value; (value = map_next(&map, &position)) != NULL; visits++)
		assert_int_equal(seen[value - values]++, 0);
	assert_int_equal(visits, sizeof(values));
	size_t most = map.capacity;
	for (unsigned i = 0; i < sizeof(values); i++)
		assert_ptr_equal(map_remove(&map, &i, sizeof(i)), &values[i]);
	assert_int_equal(map.count, 0);
	assert_true(map.capacity < most / 100);
	map_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_put_get_remove),
	    cmocka_unit_test(test_keys_are_copied_and_bounded),
	    cmocka_unit_test(test_agrees_with_an_array),
	    cmocka_unit_test(test_visits_each_once_and_gives_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
