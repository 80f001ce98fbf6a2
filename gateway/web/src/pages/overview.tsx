import { useEffect, useState } from "preact/hooks";
import { openAlerts } from "../alerts";
import { get, list, sentence } from "../api";
import { useMay } from "../caller";
import { StorageChart } from "../chart";
import { bytes, count, day, duration, nameOf, words } from "../format";
import { Icon } from "../icons";
import { type Data, useData } from "../live";
import { to } from "../router";
import type { Alert, Analytics, Backup, SourceStatus, Status } from "../types";
import { Badge, Button, Card, Code, Empty, Loading, Meter, PageHead, Problem, When } from "../ui";
import { CreateBackup } from "./create";

const busy = (backup: Backup) => ["PENDING", "IN_PROGRESS", "VERIFYING"].includes(backup.status);

export function OverviewPage({ news }: { news: number }) {
  const may = useMay();
  const status = useData("status", (signal) => get<Status>("/api/status", {}, signal), 10000);
  const backups = useData("last backups", (signal) => list<Backup>("/api/backups", { pageSize: 6 }, signal), 5000);
  const alerts = useData("open alerts", openAlerts, 60000);
  const analytics = useData("analytics", (signal) => get<Analytics>("/api/analytics", {}, signal), 300000);
  const [creating, setCreating] = useState<SourceStatus["type"] | "">();
  useEffect(() => {
    if (news) {
      alerts.soon();
      status.soon();
    }
  }, [news]);
  const create = may("BackupService.CreateBackup");
  return (
    <>
      <PageHead title="Overview">
        {create && (
          <Button kind="main" icon="plus" onClick={() => setCreating("")}>
            Back up now
          </Button>
        )}
      </PageHead>
      {status.error && !status.data ? (
        <Problem error={status.error} retry={status.reload} />
      ) : !status.data ? (
        <Loading what="Asking the server" />
      ) : (
        <>
          <Verdict status={status.data} alerts={alerts.data ?? []} />
          <Sources status={status.data} {...(create ? { onCreate: setCreating } : {})} />
          <div class="columns">
            <Storage status={status.data} analytics={analytics.data} />
            <OpenAlerts alerts={alerts} />
          </div>
        </>
      )}
      <Card
        title="Last backups"
        actions={
          <a href={to("backups")}>
            All {status.data ? status.data.backups.toLocaleString() : ""} <Icon name="next" size={14} />
          </a>
        }
      >
        {backups.error && !backups.data && <Problem error={backups.error} retry={backups.reload} />}
        {backups.data && backups.data.items.length === 0 && (
          <Empty icon="backups" title="Nothing has been backed up yet.">
            {create ? (
              <Button kind="main" icon="plus" onClick={() => setCreating("")}>
                Take the first backup
              </Button>
            ) : (
              "Somebody with the role operator can take the first backup."
            )}
          </Empty>
        )}
        <ul class="rows">
          {backups.data?.items.map((backup) => (
            <li key={backup.id}>
              <a class="row" href={to("backups", backup.id)}>
                <span class="grow">
                  <span class="strong">{nameOf(backup)}</span>
                  <span class="muted">
                    {words(backup.type)} · <When time={backup.createdAt} relative />
                  </span>
                </span>
                <span class="muted number">{busy(backup) ? "" : bytes(backup.size)}</span>
                <Badge word={backup.status} />
              </a>
            </li>
          ))}
        </ul>
      </Card>
      {creating !== undefined && (
        <CreateBackup type={creating || "FULL"} sources={status.data?.sources ?? []} onClose={() => setCreating(undefined)} />
      )}
    </>
  );
}

// One sentence that says whether anything is to be done.
function Verdict({ status, alerts }: { status: Status; alerts: Alert[] }) {
  const late = status.sources.filter((source) => source.health !== "PROTECTED");
  const severe = alerts.filter((alert) => alert.severity === "CRITICAL" || alert.severity === "ERROR");
  const bad = late.some((source) => source.health === "UNPROTECTED") || severe.length > 0;
  const kind = status.sources.length === 0 ? "quiet" : bad ? "bad" : late.length ? "warn" : "good";
  const sentence =
    kind === "quiet"
      ? "No source is configured yet."
      : kind === "good"
        ? `${status.sources.length === 1 ? "Your source is" : `All ${status.sources.length} sources are`} protected within the objective.`
        : [
            late.length &&
              `${late.length} of ${count(status.sources.length, "source")} ${late.length === 1 ? "is" : "are"} not protected within the objective`,
            severe.length && `${count(severe.length, "serious alert")} ${severe.length === 1 ? "is" : "are"} open`,
          ]
            .filter(Boolean)
            .join(", and ")
            .concat(".");
  return (
    <div class={`verdict ${kind}`}>
      <span class="sign">
        <Icon name={kind === "good" ? "shield" : "alert"} size={26} />
      </span>
      <div>
        <p class="sentence">{sentence}</p>
        <p class="muted">
          {kind === "quiet" ? (
            <>Name what is to be protected in DATABASE_URL, BACKUP_FILES_PATHS or BACKUP_CONFIG_PATHS, and start the server anew.</>
          ) : (
            <>
              {count(status.backups, "backup")} in {bytes(status.repositoryBytes)}
              {status.jobsRunning + status.jobsWaiting > 0 && ` · ${status.jobsRunning} running, ${status.jobsWaiting} waiting`} · server{" "}
              {status.version}, up since <When time={status.startedAt} />
            </>
          )}
        </p>
      </div>
    </div>
  );
}

function Sources({ status, onCreate }: { status: Status; onCreate?: (type: SourceStatus["type"]) => void }) {
  return (
    <div class="sources">
      {status.sources.map((source) => {
        const kind = source.health === "PROTECTED" ? "good" : source.health === "AT_RISK" ? "warn" : "bad";
        const objective = source.recoveryPointObjective * 60;
        return (
          <Card key={`${source.type} ${source.source}`} class="source">
            <header>
              <h2>
                <Icon name={source.type === "DATABASE" ? "database" : source.type === "FILES" ? "folder" : "file"} /> {words(source.type)}
              </h2>
              <Badge word={source.health} as={kind} />
            </header>
            <p class="muted clip" title={source.source}>
              {source.source.split(source.type === "DATABASE" ? "," : ":").join(" · ")}
            </p>
            {source.newestGoodBackupAt ? (
              <>
                <p class="big">{source.recoveryPointAge < 1 ? "just now" : `${duration(source.recoveryPointAge * 60)} ago`}</p>
                <Meter
                  value={source.recoveryPointAge}
                  most={source.recoveryPointObjective}
                  kind={kind}
                  label="Age of the newest good backup, of its objective"
                />
                <p class="muted">
                  <a href={to("backups", source.newestGoodBackupId)}>Newest good backup</a> · goal {duration(objective)}
                </p>
              </>
            ) : (
              <>
                <p class="big">No good backup</p>
                <Meter value={1} most={1} kind="bad" label="Age of the newest good backup, of its objective" />
                <p class="muted">goal {duration(objective)}</p>
              </>
            )}
            {onCreate && (
              <Button kind={kind === "good" ? "plain" : "main"} onClick={() => onCreate(source.type)}>
                Back up
              </Button>
            )}
          </Card>
        );
      })}
    </div>
  );
}

function Storage({ status, analytics }: { status: Status; analytics: Analytics | undefined }) {
  const whole = status.repositoryBytes + status.freeBytes;
  const days = status.fullAt ? (Date.parse(status.fullAt) - Date.now()) / 86400000 : Number.POSITIVE_INFINITY;
  const kind = status.freeBytes < whole * 0.05 || days < 7 ? "bad" : status.freeBytes < whole * 0.15 || days < 30 ? "warn" : "info";
  return (
    <Card title="Storage">
      <div class="pair">
        <div>
          <p class="big">{bytes(status.repositoryBytes)}</p>
          <p class="muted">in the repository</p>
        </div>
        <div>
          <p class="big">{bytes(status.freeBytes)}</p>
          <p class="muted">free beside it</p>
        </div>
        {analytics && analytics.dedupRatio > 0 && (
          <div>
            <p class="big">
              {(analytics.dedupRatio * Math.max(analytics.compressionRatio, 1)).toLocaleString(undefined, { maximumFractionDigits: 1 })}×
            </p>
            <p class="muted">smaller than what it holds</p>
          </div>
        )}
      </div>
      <Meter value={status.repositoryBytes} most={whole} kind={kind} label="Part of the storage that backups take" />
      {analytics && analytics.points.length > 1 && (
        <StorageChart points={analytics.points} now={status.repositoryBytes} most={whole} fullAt={status.fullAt} />
      )}
      <p class={kind === "info" ? "muted" : `text-${kind}`}>
        {status.fullAt
          ? `At the present growth it is full on ${day(status.fullAt)}.`
          : "How soon it will be full cannot be told yet; that needs some days of backups."}
      </p>
      <p>
        <Code>{status.repository}</Code>
      </p>
    </Card>
  );
}

function OpenAlerts({ alerts }: { alerts: Data<Alert[]> }) {
  const open = alerts.data?.slice(0, 5) ?? [];
  return (
    <Card
      title="Open alerts"
      actions={
        <a href={to("alerts")}>
          All <Icon name="next" size={14} />
        </a>
      }
    >
      {alerts.error && !alerts.data && <Problem error={alerts.error} what="Alerting" retry={alerts.reload} />}
      {alerts.data && open.length === 0 && <Empty icon="check" title="Nothing waits for you." />}
      <ul class="rows">
        {open.map((alert) => (
          <li key={alert.id}>
            <a class="row" href={to("alerts")}>
              <Badge word={alert.severity} />
              <span class="grow">
                <span>{sentence(alert.message)}</span>
                <span class="muted">
                  <When time={alert.lastSeenAt ?? alert.createdAt} relative />
                </span>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </Card>
  );
}
