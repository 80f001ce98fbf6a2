"""The records of the REST contract: every field with its JSON type, and a check of an answer against them.

Types: text, time (RFC 3339 in UTC, or null while it has not come), whole (a JSON number without a fraction), number, truth, texts, map,
words(...) for enums, [record] and record.
"""

import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class words(tuple):
    """An enum; the contract's words, and those that the API adds."""


TYPE = words(("FULL", "INCREMENTAL", "DIFFERENTIAL", "DATABASE", "FILES", "CONFIGURATION"))
BACKUP_STATUS = words(("PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "VERIFYING", "VERIFIED", "EXPIRED", "CANCELLED"))
SEVERITY = words(("INFO", "WARNING", "ERROR", "CRITICAL"))
PRIORITY = words(("CRITICAL", "HIGH", "MEDIUM", "LOW"))
LEVEL = words(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
PROVIDER = words(("LOCAL_REMOTE", "S3", "AZURE_BLOB", "GOOGLE_CLOUD", "SFTP"))
ENVIRONMENT = words(("PRODUCTION", "STAGING", "DEVELOPMENT", "ISOLATED"))
TEST_STATUS = words(("PASSED", "FAILED", "SKIPPED", "PARTIAL", "RUNNING", "RAN"))
ALERT_TYPE = words(
    (
        "BACKUP_FAILED", "BACKUP_COMPLETED", "VERIFICATION_FAILED", "ENCRYPTION_FAILED", "STORAGE_FULL", "RETENTION_EXPIRED",
        "KEY_ROTATION_REQUIRED", "BACKUP_MISSED", "RPO_EXCEEDED", "OFFSITE_FAILED", "REPLICATION_LAG", "ANOMALY", "RETENTION_VIOLATION",
        "RECOVERY_FAILED", "RECOVERY_TEST_OVERDUE", "CLOCK_SKEW",
    )
)  # fmt: skip

BACKUP = {
    "id": "text", "name": "text", "type": TYPE, "status": BACKUP_STATUS, "createdAt": "time", "completedAt": "time", "size": "whole",
    "encryptedSize": "whole", "keyId": "text", "checksum": "text", "encryptedChecksum": "text", "location": "text",
    "encryptedLocation": "text", "retentionDays": "whole", "expiresAt": "time", "tags": "texts", "metadata": "map",
}  # fmt: skip
VERIFICATION = {
    "backupId": "text", "valid": "truth", "checksumValid": "truth", "encryptionValid": "truth", "sizeValid": "truth", "errors": "texts",
    "verifiedAt": "time",
}  # fmt: skip
ALERT = {
    "id": "text", "backupId": "text", "severity": SEVERITY, "type": ALERT_TYPE, "message": "text", "details": "map", "createdAt": "time",
    "acknowledged": "truth",
}  # fmt: skip
ACCESS = {
    "id": "text", "userId": "text", "action": words(("UPLOAD", "DOWNLOAD", "DELETE", "VERIFY", "REPLICATE")), "timestamp": "time",
    "ipAddress": "text", "success": "truth", "details": "text",
}  # fmt: skip
OFFSITE = {
    "id": "text", "backupId": "text", "provider": PROVIDER, "location": "text", "uploadedAt": "time", "size": "whole", "checksum": "text",
    "status": words(("PENDING", "UPLOADING", "COMPLETED", "FAILED", "ARCHIVED", "DELETED", "RETRYING")),
    "replicationStatus": words(("NOT_REPLICATED", "REPLICATING", "REPLICATED", "REPLICATION_FAILED")), "accessLog": [ACCESS],
}  # fmt: skip
STEP = {
    "id": "text", "order": "whole", "name": "text", "description": "text", "estimatedDuration": "whole", "automated": "truth",
    "command": "text", "validationCriteria": "texts", "dependencies": "texts",
}  # fmt: skip
CONTACT = {"name": "text", "role": "text", "email": "text", "phone": "text", "priority": "whole"}
PLAN = {
    "id": "text", "name": "text", "description": "text", "priority": PRIORITY, "recoveryTimeObjective": "whole",
    "recoveryPointObjective": "whole", "backupTypes": [TYPE], "steps": [STEP], "contacts": [CONTACT], "createdAt": "time",
    "updatedAt": "time", "lastTestedAt": "time", "status": words(("ACTIVE", "INACTIVE", "TESTING", "NEEDS_UPDATE")),
}  # fmt: skip
LOG = {"id": "text", "timestamp": "time", "level": LEVEL, "step": "text", "message": "text", "details": "text"}
METRICS = {
    "totalSteps": "whole", "completedSteps": "whole", "failedSteps": "whole", "skippedSteps": "whole", "actualRTO": "number",
    "actualRPO": "number", "dataLoss": "whole", "successRate": "number",
}  # fmt: skip
EXECUTION = {
    "id": "text", "planId": "text", "triggeredBy": "text", "triggeredAt": "time", "reason": "text",
    "status": words(("PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "PAUSED", "CANCELLED")), "currentStep": "text",
    "completedSteps": "texts", "failedSteps": "texts", "startedAt": "time", "completedAt": "time", "duration": "number", "logs": [LOG],
    "metrics": METRICS,
}  # fmt: skip
RESULT = {
    "stepId": "text", "stepName": "text", "status": TEST_STATUS, "duration": "number", "issues": "texts", "notes": "text",
}  # fmt: skip
TEST = {
    "id": "text", "planId": "text", "testedBy": "text", "testedAt": "time", "environment": ENVIRONMENT, "results": [RESULT],
    "overallStatus": TEST_STATUS, "recommendations": "texts", "nextTestDate": "time",
}  # fmt: skip


def check(value, form, where="data"):
    """Fails where a field is missing or of another type than the contract says."""
    if isinstance(form, words):
        assert value in form, f"{where} is {value!r}"
    elif isinstance(form, dict):
        assert isinstance(value, dict), f"{where} is {value!r}"
        missing = set(form) - set(value)
        assert not missing, f"{where} lacks {sorted(missing)}"
        for name, inner in form.items():
            check(value[name], inner, f"{where}.{name}")
    elif isinstance(form, list):
        assert isinstance(value, list), f"{where} is {value!r}"
        for number, item in enumerate(value):
            check(item, form[0], f"{where}[{number}]")
    else:
        good = {
            "text": lambda: isinstance(value, str),
            "time": lambda: value is None or (isinstance(value, str) and TIME.fullmatch(value)),
            "whole": lambda: type(value) is int,
            "number": lambda: type(value) in (int, float),
            "truth": lambda: type(value) is bool,
            "texts": lambda: isinstance(value, list) and all(isinstance(item, str) for item in value),
            "map": lambda: isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
        }[form]
        assert good(), f"{where} is {value!r}, not {form}"
