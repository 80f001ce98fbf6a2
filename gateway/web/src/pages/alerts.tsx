import { useEffect, useState } from "preact/hooks";
import { openAlerts } from "../alerts";
import { act, list, post, sentence } from "../api";
import { useMay } from "../caller";
import { count, words } from "../format";
import { useData } from "../live";
import { setQuery, to } from "../router";
import type { Alert, Severity } from "../types";
import {
  Badge,
  Button,
  Card,
  Confirm,
  Dialog,
  Empty,
  Loading,
  Note,
  PageHead,
  Pager,
  Problem,
  Select,
  usePages,
  useTask,
  When,
} from "../ui";

const severities: Severity[] = ["CRITICAL", "ERROR", "WARNING", "INFO"];
type Delivery = { receiver: string; delivered: boolean; message: string };

export function AlertsPage({ query, news }: { query: URLSearchParams; news: number }) {
  const may = useMay();
  const pages = usePages();
  const [asking, setAsking] = useState<Alert>();
  const [testing, setTesting] = useState(false);
  const show = query.get("show") ?? "open";
  const severity = query.get("severity") ?? "";
  const asked = { severity, pageSize: 50, pageToken: pages.token };
  const alerts = useData(
    `alerts ${show} ${JSON.stringify(asked)}`,
    async (signal) =>
      show === "open"
        ? { items: await openAlerts(signal, severity ? [severity as Severity] : undefined), next: "" }
        : list<Alert>("/api/backups/alerts", asked, signal),
    60000,
  );
  useEffect(() => {
    if (news) alerts.soon();
  }, [news]);
  const set = (name: string, text: string) => {
    const next = new URLSearchParams(query);
    if (text) next.set(name, text);
    else next.delete(name);
    pages.reset();
    setQuery(next);
  };
  const shown = alerts.data?.items ?? [];
  return (
    <>
      <PageHead title="Alerts">
        {may("AlertService.TestAlertDelivery") && !alerts.error?.absent && (
          <Button icon="alerts" onClick={() => setTesting(true)}>
            Test delivery
          </Button>
        )}
      </PageHead>
      {alerts.error && !alerts.data ? (
        <Card>
          <Problem error={alerts.error} what="Alerting" retry={alerts.reload} />
        </Card>
      ) : (
        <Card>
          <form class="filters" onSubmit={(event) => event.preventDefault()} aria-label="Filter">
            <Select
              label="Show"
              value={show}
              options={[
                ["open", "Not acknowledged"],
                ["all", "All"],
              ]}
              onPick={(word) => set("show", word === "open" ? "" : word)}
            />
            <Select
              label="Severity"
              value={severity}
              options={[["", "All severities"], ...severities.map((one): [string, string] => [one, words(one)])]}
              onPick={(word) => set("severity", word)}
            />
          </form>
          {alerts.loading && !alerts.data && <Loading />}
          {alerts.data && shown.length === 0 && (
            <Empty icon="check" title={show === "open" && !severity ? "Nothing waits for you." : "No alert is like this."}>
              {show === "open" && !severity
                ? "What goes wrong, and what silently did not happen, appears here at once."
                : "Show all to see more."}
            </Empty>
          )}
          <ul class="alerts">
            {shown.map((alert) => (
              <li key={alert.id} class={alert.resolvedAt ? "over" : ""}>
                <Badge word={alert.severity} />
                <div class="grow">
                  <p class="strong">{sentence(alert.message)}</p>
                  <p class="muted">
                    {words(alert.type)} · <When time={alert.createdAt} />
                    {alert.count > 1 && (
                      <>
                        {" "}
                        · seen {count(alert.count, "time")}, last <When time={alert.lastSeenAt} relative />
                      </>
                    )}
                    {alert.resolvedAt && (
                      <>
                        {" "}
                        · resolved <When time={alert.resolvedAt} relative />
                      </>
                    )}
                    {alert.backupId && (
                      <>
                        {" "}
                        · <a href={to("backups", alert.backupId)}>the backup</a>
                      </>
                    )}
                  </p>
                  {alert.acknowledged && (
                    <p class="muted">
                      Acknowledged by {alert.acknowledgedBy}
                      {alert.note && <>: “{alert.note}”</>}
                    </p>
                  )}
                  {Object.keys(alert.details).length > 0 && (
                    <details>
                      <summary>Details</summary>
                      <dl class="facts">
                        {Object.entries(alert.details).map(([name, value]) => (
                          <div key={name}>
                            <dt>{name}</dt>
                            <dd>{value}</dd>
                          </div>
                        ))}
                      </dl>
                    </details>
                  )}
                </div>
                {!alert.acknowledged && may("AlertService.AcknowledgeAlert") && (
                  <Button icon="check" onClick={() => setAsking(alert)}>
                    Acknowledge
                  </Button>
                )}
              </li>
            ))}
          </ul>
          <Pager pages={pages} next={alerts.data?.next ?? ""} shown={shown.length} />
        </Card>
      )}
      {asking && (
        <Confirm
          title="Acknowledge this alert"
          action="Acknowledge"
          note="Note: what was found, what is being done"
          onClose={() => setAsking(undefined)}
          act={async (note) => {
            const said = await act(`/api/backups/alerts/${encodeURIComponent(asking.id)}/acknowledge`, { note });
            alerts.reload();
            return said;
          }}
        >
          <p class="strong">{sentence(asking.message)}</p>
          <p class="muted">Reminders stop. It stays open until its cause is gone.</p>
        </Confirm>
      )}
      {testing && <TestDelivery onClose={() => setTesting(false)} />}
    </>
  );
}

function TestDelivery({ onClose }: { onClose: () => void }) {
  const [deliveries, setDeliveries] = useState<Delivery[]>();
  const task = useTask(async () => {
    setDeliveries(await post<Delivery[]>("/api/backups/alerts/test-delivery"));
  });
  return (
    <Dialog title="Test delivery" onClose={onClose}>
      <div class="body">
        <p>Sends a test message over every configured channel, and says what each receiver answered.</p>
        {deliveries?.length === 0 && (
          <Note tone="warn">No channel is configured. Name receivers in ALERT_EMAILS or ALERT_WEBHOOK_URL.</Note>
        )}
        {deliveries?.map((delivery) => (
          <Note key={delivery.receiver} tone={delivery.delivered ? "good" : "bad"} title={delivery.receiver}>
            {delivery.message}
          </Note>
        ))}
        {task.error && <Problem error={task.error} />}
      </div>
      <footer>
        <Button onClick={onClose}>Close</Button>
        <Button kind="main" busy={task.busy} onClick={() => void task.run()}>
          Send
        </Button>
      </footer>
    </Dialog>
  );
}
