#include "control/access/certificate.h"

#include "unit/test.h"

MOS_TEST(subjects_have_their_roles_and_rights) {
    mos_certificates *certificates;
    struct mos_error error = {0};
    enum mos_role role = MOS_ROLE_NONE;
    const char *rights = "";
    MOS_ASSERT_OK(mos_certificates_parse("CN=pos,O=Shop=OPERATOR+backup.delete+key.manage; gateway.example=VIEWER;", &certificates, &error),
                  &error);
    CU_ASSERT(mos_certificates_find(certificates, "CN=pos,O=Shop", &role, &rights));
    CU_ASSERT_EQUAL(role, MOS_ROLE_OPERATOR);
    CU_ASSERT_STRING_EQUAL(rights, "backup.delete,key.manage");
    CU_ASSERT(mos_certificates_find(certificates, "gateway.example", &role, &rights));
    CU_ASSERT_EQUAL(role, MOS_ROLE_VIEWER);
    CU_ASSERT_STRING_EQUAL(rights, "");
    CU_ASSERT_FALSE(mos_certificates_find(certificates, "CN=pos", &role, &rights));
    CU_ASSERT_FALSE(mos_certificates_find(certificates, "", &role, &rights));
    mos_certificates_free(certificates);
}

MOS_TEST(what_is_no_list_of_roles_is_refused) {
    static const char *const wrong[] = {"CN", "=ADMIN", "CN=pos=", "CN=pos=ROOT", "CN=pos=ADMIN+all", "CN=pos=VIEWER+", "CN=a=ADMIN;CN=b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        mos_certificates *certificates = NULL;
        struct mos_error error = {0};
        mos_status status = mos_certificates_parse(wrong[i], &certificates, &error);
        // A plus sign with nothing behind it adds nothing.
        CU_ASSERT_EQUAL(status, i == 5 ? MOS_OK : MOS_INVALID_ARGUMENT);
        mos_certificates_free(status == MOS_OK ? certificates : NULL);
    }
}
