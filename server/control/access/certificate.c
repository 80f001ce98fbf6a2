#include "control/access/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/access/rights.h"

struct certificate {
    char *subject;
    enum mos_role role;
    // Comma separated.
    char *rights;
};

struct mos_certificates {
    struct certificate *items;
    size_t count;
};

void mos_certificates_free(mos_certificates *certificates) {
    if (certificates) {
        for (size_t i = 0; i < certificates->count; i++) {
            free(certificates->items[i].subject);
            free(certificates->items[i].rights);
        }
        free(certificates->items);
        free(certificates);
    }
}

// `part` is taken apart.
static mos_status parse_part(char *part, struct certificate *out, struct mos_error *error) {
    // The subject itself has equals signs in it.
    char *equals = strrchr(part, '=');
    if (!equals || equals == part) {
        return mos_fail_field(error, "MOSAAJII_CLIENT_ROLES", "MOSAAJII_CLIENT_ROLES holds \"%.100s\"; allowed is SUBJECT=ROLE+RIGHT",
                              part);
    }
    *equals = 0;
    char *rights = strchr(equals + 1, '+');
    if (rights) {
        *rights++ = 0;
    }
    out->role = mos_role_from_word(equals + 1);
    if (out->role == MOS_ROLE_NONE) {
        return mos_fail_field(error, "MOSAAJII_CLIENT_ROLES",
                              "MOSAAJII_CLIENT_ROLES gives %.100s the role \"%.32s\"; allowed is VIEWER, OPERATOR or ADMIN", part,
                              equals + 1);
    }
    out->subject = mos_strdup(part);
    out->rights = mos_strdup(rights ? rights : "");
    for (char *right = out->rights; *right;) {
        char *end = right + strcspn(right, "+");
        char kept = *end;
        *end = 0;
        if (!mos_right_known(right)) {
            return mos_fail_field(error, "MOSAAJII_CLIENT_ROLES", "MOSAAJII_CLIENT_ROLES gives %.100s the right \"%.32s\"; allowed are %s",
                                  part, right, mos_right_names);
        }
        *end = kept ? ',' : 0;
        right = end + (kept != 0);
    }
    return MOS_OK;
}

mos_status mos_certificates_parse(const char *text, mos_certificates **out, struct mos_error *error) {
    mos_certificates *certificates = mos_calloc(1, sizeof(*certificates));
    size_t capacity = 1;
    for (const char *c = text; *c; c++) {
        capacity += *c == ';';
    }
    certificates->items = mos_calloc(capacity, sizeof(*certificates->items));
    MOS_CLEANUP_FREE char *copy = mos_strdup(text);
    char *rest = NULL;
    mos_status status = MOS_OK;
    for (char *part = strtok_r(copy, ";", &rest); part && status == MOS_OK; part = strtok_r(NULL, ";", &rest)) {
        part += strspn(part, " ");
        if (*part) {
            status = parse_part(part, &certificates->items[certificates->count++], error);
        }
    }
    if (status != MOS_OK) {
        mos_certificates_free(certificates);
        return status;
    }
    *out = certificates;
    return MOS_OK;
}

bool mos_certificates_find(const mos_certificates *certificates, const char *name, enum mos_role *out_role, const char **out_rights) {
    for (size_t i = 0; i < certificates->count; i++) {
        if (strcmp(certificates->items[i].subject, name) == 0) {
            *out_role = certificates->items[i].role;
            *out_rights = certificates->items[i].rights;
            return true;
        }
    }
    return false;
}
