#include "control/rpc/client_address.h"

#include <string.h>

#include "unit/test.h"

MOS_TEST(who_is_believed) {
    static const struct {
        const char *peer, *told, *networks, *expected;
    } cases[] = {
        // A gateway on this machine.
        {"127.0.0.1:4711", "192.0.2.7", NULL, "192.0.2.7"},
        {"127.9.9.9:4711", "2001:db8::1", "", "2001:db8::1"},
        {"[::1]:4711", "192.0.2.7", NULL, "192.0.2.7"},
        {"unix:", "192.0.2.7", NULL, "192.0.2.7"},
        // One elsewhere, that the settings name.
        {"10.1.2.3:4711", "192.0.2.7", "10.0.0.0/8", "192.0.2.7"},
        {"10.1.2.3:4711", "192.0.2.7", "2001:db8::/32, 10.1.2.3", "192.0.2.7"},
        {"[::ffff:10.1.2.3]:4711", "192.0.2.7", "10.1.2.2/31", "192.0.2.7"},
        {"[2001:db8::5]:4711", "192.0.2.7", "2001:db8::/32", "192.0.2.7"},
        {"198.51.100.1:1", "192.0.2.7", "0.0.0.0/0", "192.0.2.7"},
        // Anybody else.
        {"10.1.2.3:4711", "192.0.2.7", NULL, "10.1.2.3"},
        {"10.1.2.3:4711", "192.0.2.7", "10.1.2.4/31,10.1.2.2", "10.1.2.3"},
        {"11.1.2.3:4711", "192.0.2.7", "10.0.0.0/8", "11.1.2.3"},
        {"[2001:db9::5]:4711", "192.0.2.7", "2001:db8::/32,0.0.0.0/0", "2001:db9::5"},
        {"[2001:db8::127:0:0:1]:4711", "192.0.2.7", NULL, "2001:db8::127:0:0:1"},
        // Nothing told, or nothing that is an address.
        {"127.0.0.1:4711", NULL, NULL, "127.0.0.1"},
        {"127.0.0.1:4711", "", NULL, "127.0.0.1"},
        {"127.0.0.1:4711", "192.0.2.7 level=error", NULL, "127.0.0.1"},
        {"127.0.0.1:4711", "192.0.2.7:80", NULL, "127.0.0.1"},
        {"127.0.0.1:4711", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001", NULL, "127.0.0.1"},
        {"unix:", NULL, NULL, ""},
        {"", "192.0.2.7", "0.0.0.0/0", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_client_address client = mos_client_address_of(cases[i].peer, cases[i].told, cases[i].networks);
        CU_ASSERT_STRING_EQUAL(client.text, cases[i].expected);
    }
}

MOS_TEST(wrong_networks_are_named) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_networks_check(NULL, &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_networks_check("", &error), MOS_OK);
    CU_ASSERT_EQUAL(mos_networks_check(" 10.0.0.0/8 , ,::1, 2001:db8::/32,127.0.0.1/32", &error), MOS_OK);
    static const char *const wrong[] = {"10.0.0.0/33",  "::/129",    "10.0.0.0/", "10.0.0.0/x",
                                        "10.0.0.0/8/8", "localhost", "10.0.0",    "10.0.0.0/-1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_EQUAL(mos_networks_check(wrong[i], &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, wrong[i]));
    }
}
