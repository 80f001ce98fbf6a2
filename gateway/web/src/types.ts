// The API's records, as far as the dashboard shows them. Times are RFC 3339, or null.
export type Time = string | null;

export type BackupType = "FULL" | "INCREMENTAL" | "DIFFERENTIAL" | "DATABASE" | "FILES" | "CONFIGURATION";
export const backupTypes: BackupType[] = ["FULL", "INCREMENTAL", "DIFFERENTIAL", "DATABASE", "FILES", "CONFIGURATION"];
export const backupStatuses = ["PENDING", "IN_PROGRESS", "COMPLETED", "FAILED", "VERIFYING", "VERIFIED", "EXPIRED", "CANCELLED"] as const;
export type BackupStatus = (typeof backupStatuses)[number];

export type Backup = {
  id: string;
  name: string;
  type: BackupType;
  status: BackupStatus;
  createdAt: Time;
  completedAt: Time;
  size: number;
  encryptedSize: number;
  keyId: string;
  checksum: string;
  encryptedChecksum: string;
  location: string;
  encryptedLocation: string;
  retentionDays: number;
  expiresAt: Time;
  tags: string[];
  metadata: Record<string, string>;
  statistics: null | {
    files: number;
    directories: number;
    others: number;
    filesAdded: number;
    filesChanged: number;
    filesRemoved: number;
    bytesRead: number;
    bytesNew: number;
    bytesWritten: number;
    durationMs: number;
  };
  warnings: number;
  message: string;
  encryptionEnabled: boolean;
  compressionEnabled: boolean;
  parentId: string;
  verifiedAt: Time;
  lockedUntil: Time;
  legalHold: boolean;
  createdBy: string;
  databases: { name: string; engine: string; origin: string; tables: { table: string; rows: number }[] }[];
};

export type Verification = {
  backupId: string;
  valid: boolean;
  checksumValid: boolean;
  encryptionValid: boolean;
  sizeValid: boolean;
  errors: string[];
  verifiedAt: Time;
  damagedPaths: string[];
  damagedFiles: number;
  objectsChecked: number;
  bytesChecked: number;
};

export type Progress = {
  phase: string;
  filesDone: number;
  filesTotal: number;
  bytesDone: number;
  bytesTotal: number;
  bytesPerSecond: number;
  secondsLeft: number;
  current: string;
};

export type Job = {
  id: string;
  kind: string;
  status: "PENDING" | "RUNNING" | "SUCCEEDED" | "SUCCEEDED_WITH_WARNINGS" | "FAILED" | "CANCELLED";
  backupId: string;
  createdAt: Time;
  startedAt: Time;
  completedAt: Time;
  createdBy: string;
  progress: Progress | null;
  warnings: number;
  message: string;
  restore: null | {
    target: string;
    filesRestored: number;
    filesSkipped: number;
    filesFailed: number;
    bytesWritten: number;
    checks: { name: string; passed: boolean; message: string }[];
    preview: string[];
  };
};

export type JobEvent = {
  sequence: number;
  time: Time;
  kind: "QUEUED" | "STARTED" | "PROGRESS" | "WARNING" | "FINISHED";
  jobId: string;
  jobKind: string;
  jobStatus: Job["status"];
  backupId: string;
  backupStatus: BackupStatus;
  progress: Progress | null;
  message: string;
};

export type FileEntry = {
  path: string;
  type: "FILE" | "DIRECTORY" | "SYMLINK" | "HARDLINK" | "CHARACTER_DEVICE" | "BLOCK_DEVICE" | "FIFO" | "SOCKET" | "DATABASE";
  size: number;
  mode: number;
  user: string;
  group: string;
  modifiedAt: Time;
  linkTarget: string;
};

export type Severity = "INFO" | "WARNING" | "ERROR" | "CRITICAL";
export type Alert = {
  id: string;
  backupId: string;
  severity: Severity;
  type: string;
  message: string;
  details: Record<string, string>;
  createdAt: Time;
  acknowledged: boolean;
  acknowledgedAt: Time;
  acknowledgedBy: string;
  note: string;
  lastSeenAt: Time;
  count: number;
  resolvedAt: Time;
};

export type SourceStatus = {
  type: BackupType;
  source: string;
  newestGoodBackupAt: Time;
  newestGoodBackupId: string;
  recoveryPointObjective: number;
  recoveryPointAge: number;
  health: "PROTECTED" | "AT_RISK" | "UNPROTECTED";
};

export type Status = {
  version: string;
  startedAt: Time;
  repository: string;
  repositoryBytes: number;
  freeBytes: number;
  fullAt: Time;
  backups: number;
  jobsRunning: number;
  jobsWaiting: number;
  openAlerts: number;
  sources: SourceStatus[];
};

export type Analytics = {
  backups: number;
  succeeded: number;
  failed: number;
  successRate: number;
  bytesProtected: number;
  bytesStored: number;
  dedupRatio: number;
  compressionRatio: number;
  averageDurationSeconds: number;
  points: { day: Time; backups: number; failed: number; bytesProtected: number; bytesWritten: number; averageDurationSeconds: number }[];
};

export type OffsiteLocation = {
  name: string;
  provider: string;
  url: string;
  health: "HEALTHY" | "DEGRADED" | "UNHEALTHY" | "HEALTH_UNSPECIFIED";
  message: string;
  checkedAt: Time;
  objects: number;
  bytes: number;
  lagSeconds: number;
};

export type OffsiteBackup = {
  id: string;
  backupId: string;
  provider: string;
  location: string;
  uploadedAt: Time;
  size: number;
  status: string;
  replicationStatus: string;
  accessLog: { id: string; userId: string; action: string; timestamp: Time; success: boolean; details: string }[];
  retentionDays: number;
  expiresAt: Time;
  lockedUntil: Time;
  message: string;
  objectsTotal: number;
  objectsDone: number;
};

export type Schedule = {
  id: string;
  name: string;
  cron: string;
  timeZone: string;
  backup: { name: string; type: BackupType; retentionDays?: number | null; tags: string[] } | null;
  jitterSeconds: number;
  blackouts: { cron: string; durationMinutes: number }[];
  overlap: string;
  catchUp: boolean;
  paused: boolean;
  keep: Record<string, number> | null;
  lastRunAt: Time;
  lastBackupId: string;
  nextRuns: string[];
};

export type PlanStep = {
  id: string;
  order: number;
  name: string;
  description: string;
  estimatedDuration: number;
  automated: boolean;
  command: string;
  validationCriteria: string[];
  dependencies: string[];
  onFailure: string;
  assignee: string;
};

export type Plan = {
  id: string;
  name: string;
  description: string;
  priority: "CRITICAL" | "HIGH" | "MEDIUM" | "LOW";
  recoveryTimeObjective: number;
  recoveryPointObjective: number;
  backupTypes: BackupType[];
  steps: PlanStep[];
  contacts: { name: string; role: string; email: string; phone: string; priority: number }[];
  createdAt: Time;
  updatedAt: Time;
  lastTestedAt: Time;
  status: "ACTIVE" | "INACTIVE" | "TESTING" | "NEEDS_UPDATE";
  version: number;
  verified: boolean;
  testSchedule: string;
  nextTestDate: Time;
};

export type StepRun = {
  stepId: string;
  stepName: string;
  status: "PENDING" | "RUNNING" | "WAITING" | "SUCCEEDED" | "FAILED" | "SKIPPED" | "CANCELLED";
  attempt: number;
  startedAt: Time;
  completedAt: Time;
  percent: number;
  output: string;
  message: string;
  decidedBy: string;
  note: string;
};

export type ExecutionLog = { id: string; timestamp: Time; level: string; step: string; message: string; details: string };

export type Execution = {
  id: string;
  planId: string;
  triggeredBy: string;
  triggeredAt: Time;
  reason: string;
  status: "PENDING" | "IN_PROGRESS" | "COMPLETED" | "FAILED" | "PAUSED" | "CANCELLED";
  startedAt: Time;
  completedAt: Time;
  duration: number;
  logs: ExecutionLog[];
  metrics: null | {
    totalSteps: number;
    completedSteps: number;
    failedSteps: number;
    skippedSteps: number;
    actualRTO: number;
    actualRPO: number;
    dataLoss: number;
    successRate: number;
    machineMinutes: number;
    waitingMinutes: number;
  };
  planVersion: number;
  kind: string;
  steps: StepRun[];
  message: string;
};

export type ExecutionEvent = {
  sequence: number;
  time: Time;
  kind: "STATUS" | "STEP" | "PROGRESS" | "LOG" | "HEARTBEAT";
  status: Execution["status"];
  step: StepRun | null;
  log: ExecutionLog | null;
  percent: number;
  secondsLeft: number;
};

export type TestResult = {
  id: string;
  planId: string;
  testedBy: string;
  testedAt: Time;
  environment: string;
  overallStatus: string;
  recommendations: string[];
  results: { stepId: string; stepName: string; status: string; duration: number; issues: string[]; notes: string }[];
  nextTestDate: Time;
  executionId: string;
  message: string;
};

export type KeyVersion = { id: string; provider: string; version: number; state: string; createdAt: Time; backups: number };
export type Token = {
  id: string;
  name: string;
  role: string;
  rights: string[];
  createdAt: Time;
  expiresAt: Time;
  lastUsedAt: Time;
  revokedAt: Time;
};
export type AuditEntry = {
  sequence: number;
  time: Time;
  actor: string;
  ipAddress: string;
  action: string;
  resource: string;
  result: string;
  details: Record<string, string>;
  hash: string;
};
export type Caller = { name: string; role: string; rights: string[]; calls: string[] };
export type Confirmation = {
  id: string;
  action: string;
  resource: string;
  requestedBy: string;
  requestedAt: Time;
  expiresAt: Time;
  status: string;
  confirmedBy: string;
};
