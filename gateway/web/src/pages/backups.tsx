import { useState } from "preact/hooks";
import { get, list } from "../api";
import { useMay } from "../caller";
import { bytes, nameOf, words } from "../format";
import { useData } from "../live";
import { setQuery, to } from "../router";
import { type Backup, type BackupType, backupStatuses, backupTypes, type Status } from "../types";
import { Badge, Button, Card, Empty, Loading, PageHead, Pager, Problem, Select, TextField, usePages, When } from "../ui";
import { CreateBackup } from "./create";

const filters = ["type", "status", "tags", "from", "until"] as const;

export function BackupsPage({ query }: { query: URLSearchParams }) {
  const may = useMay();
  const pages = usePages();
  const [creating, setCreating] = useState(false);
  const value = (name: (typeof filters)[number]) => query.get(name) ?? "";
  const asked = {
    type: value("type"),
    status: value("status"),
    tags: value("tags"),
    // Days are the viewer's.
    createdAfter: value("from") && new Date(`${value("from")}T00:00:00`).toISOString(),
    createdBefore: value("until") && new Date(`${value("until")}T23:59:59.999`).toISOString(),
    pageSize: 50,
    pageToken: pages.token,
  };
  const backups = useData(`backups ${JSON.stringify(asked)}`, (signal) => list<Backup>("/api/backups", asked, signal), 5000);
  const status = useData(creating ? "status" : null, (signal) => get<Status>("/api/status", {}, signal));
  const set = (name: (typeof filters)[number], text: string) => {
    const next = new URLSearchParams(query);
    if (text) next.set(name, text);
    else next.delete(name);
    pages.reset();
    setQuery(next);
  };
  const filtered = filters.some((name) => value(name));
  const any = (what: string): [string, string] => ["", what];
  return (
    <>
      <PageHead title="Backups">
        {may("BackupService.CreateBackup") && (
          <Button kind="main" icon="plus" onClick={() => setCreating(true)}>
            Back up now
          </Button>
        )}
      </PageHead>
      <Card>
        <form class="filters" onSubmit={(event) => event.preventDefault()} aria-label="Filter">
          <Select
            label="Type"
            value={value("type")}
            options={[any("All types"), ...backupTypes.map((one): [string, string] => [one, words(one)])]}
            onPick={(one) => set("type", one)}
          />
          <Select
            label="State"
            value={value("status")}
            options={[any("All states"), ...backupStatuses.map((one): [string, string] => [one, words(one)])]}
            onPick={(one) => set("status", one)}
          />
          <TextField label="Tags" value={value("tags")} placeholder="Any of these" onText={(text) => set("tags", text)} />
          <TextField label="From" type="date" value={value("from")} onText={(text) => set("from", text)} />
          <TextField label="Until" type="date" value={value("until")} onText={(text) => set("until", text)} />
          {filtered && (
            <Button
              kind="quiet"
              icon="close"
              onClick={() => {
                pages.reset();
                setQuery(new URLSearchParams());
              }}
            >
              All
            </Button>
          )}
        </form>
        {backups.error && !backups.data && <Problem error={backups.error} retry={backups.reload} />}
        {backups.loading && !backups.data && <Loading />}
        {backups.data?.items.length === 0 &&
          (filtered ? (
            <Empty icon="backups" title="No backup is like this.">
              Take a filter away to see more.
            </Empty>
          ) : (
            <Empty icon="backups" title="Nothing has been backed up yet.">
              {may("BackupService.CreateBackup")
                ? "Back up now takes the first one."
                : "Somebody with the role operator can take the first one."}
            </Empty>
          ))}
        {backups.data && backups.data.items.length > 0 && <Table backups={backups.data.items} />}
        <Pager pages={pages} next={backups.data?.next ?? ""} shown={backups.data?.items.length ?? 0} />
      </Card>
      {creating && (
        <CreateBackup
          type={(value("type") as BackupType) || "FULL"}
          sources={status.data?.sources ?? []}
          onClose={() => setCreating(false)}
        />
      )}
    </>
  );
}

function Table({ backups }: { backups: Backup[] }) {
  return (
    <table class="stack">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">State</th>
          <th scope="col">Taken</th>
          <th scope="col" class="number">
            Size
          </th>
          <th scope="col" class="number wide">
            Stored
          </th>
          <th scope="col">Kept until</th>
        </tr>
      </thead>
      <tbody>
        {backups.map((backup) => (
          <tr key={backup.id}>
            <td>
              <a class="strong" href={to("backups", backup.id)}>
                {nameOf(backup)}
              </a>
              <span class="under">
                {words(backup.type)}
                {backup.tags.map((tag) => (
                  <span class="tag" key={tag}>
                    {tag}
                  </span>
                ))}
              </span>
            </td>
            <td data-label="State">
              <Badge word={backup.status} />
            </td>
            <td data-label="Taken">
              <When time={backup.createdAt} />
            </td>
            <td data-label="Size" class="number">
              {bytes(backup.size)}
            </td>
            <td data-label="Stored" class="number wide">
              {bytes(backup.statistics?.bytesWritten ?? 0)}
            </td>
            <td data-label="Kept until">{backup.legalHold ? "released from hold" : <When time={backup.expiresAt} none="for ever" />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
