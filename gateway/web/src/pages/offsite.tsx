import { useState } from "preact/hooks";
import { get, list, post, remove, sentence } from "../api";
import { useMay } from "../caller";
import { bytes, count, duration, providers, words } from "../format";
import { Icon } from "../icons";
import { useData } from "../live";
import { go, to } from "../router";
import type { Job, OffsiteBackup, OffsiteLocation, Verification } from "../types";
import {
  Badge,
  Button,
  Card,
  Code,
  Confirm,
  Empty,
  Loading,
  Meter,
  Note,
  PageHead,
  Pager,
  Problem,
  say,
  usePages,
  useTask,
  When,
} from "../ui";

export function OffsitePage() {
  const pages = usePages();
  const locations = useData("locations", (signal) => get<OffsiteLocation[]>("/api/offsite-locations", {}, signal), 15000);
  const asked = { pageSize: 50, pageToken: pages.token };
  const copies = useData(`offsite ${JSON.stringify(asked)}`, (signal) => list<OffsiteBackup>("/api/offsite-backups", asked, signal), 5000);
  const absent = locations.error?.absent && copies.error?.absent;
  return (
    <>
      <PageHead title="Offsite" />
      {absent && locations.error ? (
        <Card>
          <Problem error={locations.error} what="Copying offsite" />
        </Card>
      ) : (
        <>
          {locations.error && !locations.data && <Problem error={locations.error} what="The list of locations" retry={locations.reload} />}
          {locations.data?.length === 0 && (
            <Card>
              <Empty icon="offsite" title="No offsite location is configured.">
                Name one in OFFSITE_PROVIDER and OFFSITE_BUCKET: a disk, a share, an SFTP server or object storage. Only ciphertext ever
                leaves this machine.
              </Empty>
            </Card>
          )}
          <div class="sources">
            {locations.data?.map((location) => (
              <Location key={location.name} location={location} />
            ))}
          </div>
          <Card title="Copies">
            {copies.error && !copies.data && <Problem error={copies.error} what="The list of copies" retry={copies.reload} />}
            {copies.loading && !copies.data && <Loading />}
            {copies.data?.items.length === 0 && (
              <Empty icon="offsite" title="No backup has been copied offsite yet.">
                {locations.data?.length ? "The next backup will be, by itself." : "Configure a location first."}
              </Empty>
            )}
            {copies.data && copies.data.items.length > 0 && <Copies copies={copies.data.items} reload={copies.reload} />}
            <Pager pages={pages} next={copies.data?.next ?? ""} shown={copies.data?.items.length ?? 0} />
          </Card>
        </>
      )}
    </>
  );
}

function Location({ location }: { location: OffsiteLocation }) {
  return (
    <Card class="source">
      <header>
        <h2>
          <Icon name="offsite" /> {words(location.name)}
        </h2>
        <Badge word={location.health} label={location.health === "HEALTH_UNSPECIFIED" ? "Not checked yet" : words(location.health)} />
      </header>
      <p class="muted clip" title={location.url}>
        {providers[location.provider] ?? words(location.provider)} · {location.url}
      </p>
      <p class="big">{bytes(location.bytes)}</p>
      <p class="muted">
        {count(location.objects, "object")} · {location.lagSeconds > 0 ? `${duration(location.lagSeconds)} behind` : "up to date"} · checked{" "}
        <When time={location.checkedAt} relative none="never" />
      </p>
      {location.message && location.health !== "HEALTHY" && (
        <Note tone={location.health === "UNHEALTHY" ? "bad" : "warn"}>{sentence(location.message)}</Note>
      )}
    </Card>
  );
}

function Copies({ copies, reload }: { copies: OffsiteBackup[]; reload: () => void }) {
  const may = useMay();
  const [asking, setAsking] = useState<OffsiteBackup>();
  return (
    <>
      <table class="stack">
        <thead>
          <tr>
            <th scope="col">Copy</th>
            <th scope="col">State</th>
            <th scope="col">Replica</th>
            <th scope="col">Uploaded</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">
              <span class="unseen">What to do</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {copies.map((copy) => (
            <tr key={copy.id}>
              <td>
                <a class="strong" href={to("backups", copy.backupId)}>
                  Backup {copy.backupId.slice(-12)}
                </a>
                <span class="under">
                  {providers[copy.provider] ?? copy.provider} · <Code>{copy.location}</Code>
                </span>
                {copy.message && copy.status !== "COMPLETED" && <span class="under">{copy.message}</span>}
              </td>
              <td data-label="State">
                <Badge word={copy.status} />
                {copy.status === "UPLOADING" && <Meter value={copy.objectsDone} most={copy.objectsTotal} label="Objects uploaded" />}
              </td>
              <td data-label="Replica">
                <Badge
                  word={copy.replicationStatus}
                  label={copy.replicationStatus === "NOT_REPLICATED" ? "None" : words(copy.replicationStatus)}
                />
              </td>
              <td data-label="Uploaded">
                <When time={copy.uploadedAt} none="not yet" />
              </td>
              <td data-label="Size" class="number">
                {bytes(copy.size)}
              </td>
              <td class="number">
                <div class="actions">
                  {may("OffsiteService.VerifyOffsite") && <VerifyCopy copy={copy} />}
                  {may("OffsiteService.FetchBackup") && <Fetch copy={copy} />}
                  {may("OffsiteService.DeleteOffsiteBackup") && (
                    <Button
                      kind="quiet"
                      icon="trash"
                      aria-label="Delete the copy"
                      title="Delete the copy"
                      onClick={() => setAsking(copy)}
                    />
                  )}
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {asking && (
        <Confirm
          title="Delete this copy?"
          action="Delete the copy"
          danger
          onClose={() => setAsking(undefined)}
          act={async () => {
            const said = await remove(`/api/offsite-backups/${encodeURIComponent(asking.id)}`);
            reload();
            return said;
          }}
        >
          <p>
            The copy at <Code>{asking.location}</Code>, {bytes(asking.size)}. The backup here stays.
          </p>
        </Confirm>
      )}
    </>
  );
}

function VerifyCopy({ copy }: { copy: OffsiteBackup }) {
  const task = useTask(async () => {
    const found = await post<Verification>(`/api/offsite-backups/${encodeURIComponent(copy.id)}/verify`);
    say(found.valid ? "The copy is whole." : `The copy is damaged: ${found.errors[0] ?? "something in it is not what was uploaded"}`);
  });
  return (
    <>
      <Button
        kind="quiet"
        icon="shield"
        busy={task.busy}
        aria-label="Verify the copy"
        title="Verify the copy"
        onClick={() => void task.run()}
      />
      {task.error && <span class="text-bad">{task.error.message}</span>}
    </>
  );
}

function Fetch({ copy }: { copy: OffsiteBackup }) {
  const task = useTask(async () => {
    const job = await post<Job>(`/api/offsite-backups/${encodeURIComponent(copy.id)}/fetch`);
    go(to("jobs", job.id));
  });
  return (
    <>
      <Button
        kind="quiet"
        icon="download"
        busy={task.busy}
        aria-label="Fetch it back"
        title="Fetch it back"
        onClick={() => void task.run()}
      />
      {task.error && <span class="text-bad">{task.error.message}</span>}
    </>
  );
}
