import { useState } from "preact/hooks";
import { list, post } from "../api";
import { count } from "../format";
import { useData } from "../live";
import { setQuery } from "../router";
import type { AuditEntry } from "../types";
import { Badge, Button, Card, Code, Empty, Loading, Note, PageHead, Pager, Problem, TextField, usePages, useTask, When } from "../ui";

type Verification = { valid: boolean; entriesChecked: number; checkpointsChecked: number; firstBadSequence: number; message: string };

export function AuditPage({ query }: { query: URLSearchParams }) {
  const pages = usePages();
  const [found, setFound] = useState<Verification>();
  const value = (name: string) => query.get(name) ?? "";
  const asked = { actor: value("actor"), action: value("action"), resource: value("resource"), pageSize: 50, pageToken: pages.token };
  const entries = useData(`audit ${JSON.stringify(asked)}`, (signal) => list<AuditEntry>("/api/audit", asked, signal));
  const verify = useTask(async () => setFound(await post<Verification>("/api/audit/verify")));
  const set = (name: string, text: string) => {
    const next = new URLSearchParams(query);
    if (text) next.set(name, text);
    else next.delete(name);
    pages.reset();
    setQuery(next);
  };
  return (
    <>
      <PageHead title="Audit">
        <Button icon="shield" busy={verify.busy} onClick={() => void verify.run()}>
          Verify the trail
        </Button>
      </PageHead>
      {verify.error && <Problem error={verify.error} />}
      {found && (
        <Note
          tone={found.valid ? "good" : "bad"}
          title={found.valid ? "The trail is whole." : `The trail was changed at entry ${found.firstBadSequence}.`}
        >
          <p>
            {found.message} {count(found.entriesChecked, "entry", "entries")}, {count(found.checkpointsChecked, "signed checkpoint")}{" "}
            checked.
          </p>
        </Note>
      )}
      <Card>
        <form class="filters" onSubmit={(event) => event.preventDefault()} aria-label="Filter">
          <TextField label="Who" value={value("actor")} onText={(text) => set("actor", text)} />
          <TextField label="What" value={value("action")} onText={(text) => set("action", text)} placeholder="BackupService.DeleteBackup" />
          <TextField label="To what" value={value("resource")} onText={(text) => set("resource", text)} />
        </form>
        {entries.error && <Problem error={entries.error} retry={entries.reload} />}
        {entries.loading && !entries.data && <Loading />}
        {entries.data?.items.length === 0 && <Empty icon="audit" title="No entry is like this." />}
        {entries.data && entries.data.items.length > 0 && (
          <table class="stack">
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col">Who</th>
                <th scope="col">When</th>
                <th scope="col">Result</th>
              </tr>
            </thead>
            <tbody>
              {entries.data.items.map((entry) => (
                <tr key={entry.sequence}>
                  <td>
                    <span class="strong">{entry.action}</span>
                    {entry.resource && (
                      <span class="under">
                        <Code>{entry.resource}</Code>
                      </span>
                    )}
                  </td>
                  <td data-label="Who">
                    {entry.actor}
                    {entry.ipAddress && <span class="under">{entry.ipAddress}</span>}
                  </td>
                  <td data-label="When">
                    <When time={entry.time} />
                  </td>
                  <td data-label="Result">
                    <Badge word={entry.result} label={entry.result} as={entry.result === "OK" ? "good" : "bad"} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        <Pager pages={pages} next={entries.data?.next ?? ""} shown={entries.data?.items.length ?? 0} />
      </Card>
    </>
  );
}
