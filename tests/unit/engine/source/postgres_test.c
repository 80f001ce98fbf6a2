#include "engine/source/postgres.h"

#include <string.h>

#include "unit/test.h"

static const char globals[] = "--\n-- Roles; not statements\n--\n\n"
                              "CREATE ROLE admin;\n"
                              "ALTER ROLE admin WITH SUPERUSER PASSWORD 'SCRAM-SHA-256$4096:x$y:z';\n"
                              "CREATE ROLE clerk;\n"
                              "ALTER ROLE clerk WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:a$b:c';\n"
                              "CREATE ROLE \"odd; \"\"role\";\n"
                              "ALTER ROLE \"odd; \"\"role\" WITH NOLOGIN;\n"
                              "GRANT \"odd; \"\"role\" TO clerk WITH ADMIN OPTION GRANTED BY admin;\n"
                              "GRANT clerk TO admin GRANTED BY admin;\n"
                              "CREATE TABLESPACE x OWNER admin LOCATION '/srv/x';\n";

MOS_TEST(only_roles_that_are_missing_are_made) {
    MOS_CLEANUP_BUFFER struct mos_buffer out = MOS_BUFFER_INIT(0);
    mos_postgres_pick_roles(globals, "admin\npostgres\n", &out);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&out), "CREATE ROLE clerk;\n"
                                                  "ALTER ROLE clerk WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:a$b:c';\n"
                                                  "CREATE ROLE \"odd; \"\"role\";\n"
                                                  "ALTER ROLE \"odd; \"\"role\" WITH NOLOGIN;\n"
                                                  "GRANT \"odd; \"\"role\" TO clerk WITH ADMIN OPTION GRANTED BY admin;\n");
    mos_buffer_clear(&out);
    mos_postgres_pick_roles(globals, "admin\nclerk\n\"odd; \"\"role\"\n", &out);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&out), "");
}

// A name may hold what looks like a statement, or like a command of psql.
MOS_TEST(a_name_is_never_taken_for_a_statement) {
    MOS_CLEANUP_BUFFER struct mos_buffer out = MOS_BUFFER_INIT(0);
    mos_postgres_pick_roles("CREATE ROLE \"a\nCREATE ROLE evil;\nALTER ROLE evil SUPERUSER;\";\nCREATE ROLE x\\!id;\nCREATE ROLE b;\n", "",
                            &out);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&out), "CREATE ROLE b;\n");
    mos_buffer_clear(&out);
    static const char *const cut[] = {"",   ";", "CREATE ROLE ", "CREATE ROLE \"", "CREATE ROLE \"x", "GRANT ", "GRANT a", "GRANT a TO ",
                                      "--", "'"};
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        mos_postgres_pick_roles(cut[i], "", &out);
    }
}
