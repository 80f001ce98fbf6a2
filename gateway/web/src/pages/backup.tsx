import { useState } from "preact/hooks";
import { get, patch, post, remove, sentence } from "../api";
import { useMay } from "../caller";
import { bytes, count, duration, nameOf, words } from "../format";
import { Icon } from "../icons";
import { useData, useEvents } from "../live";
import { go, to } from "../router";
import type { Backup, JobEvent, Progress, Verification } from "../types";
import { Badge, Button, Card, Code, Confirm, Facts, Loading, Note, PageHead, Problem, say, useTask, When } from "../ui";
import { Files } from "./files";
import { ProgressView } from "./progress";
import { Restore } from "./restore";

const running = (backup: Backup) => ["PENDING", "IN_PROGRESS", "VERIFYING"].includes(backup.status);

export function BackupPage({ id, query }: { id: string; query: URLSearchParams }) {
  const may = useMay();
  const path = `/api/backups/${encodeURIComponent(id)}`;
  const backup = useData(path, (signal) => get<Backup>(path, {}, signal), 15000);
  const [asking, setAsking] = useState<"" | "restore" | "delete" | "cancel">("");
  const [found, setFound] = useState<Verification>();
  const verify = useTask(async () => {
    setFound(undefined);
    const verification = await post<Verification>(`${path}/verify`);
    setFound(verification);
    say(verification.valid ? "The backup is whole." : "The backup is damaged.");
    backup.reload();
  });
  const hold = useTask(async () => {
    backup.set(await patch<Backup>(path, { legalHold: !backup.data?.legalHold }));
  });
  const one = backup.data;
  if (!one) {
    return (
      <>
        <PageHead title="Backup" back={{ href: to("backups"), label: "Backups" }} />
        {backup.error ? <Problem error={backup.error} retry={backup.reload} /> : <Loading />}
      </>
    );
  }
  const active = running(one) && !verify.busy;
  const complete = ["COMPLETED", "VERIFIED", "EXPIRED"].includes(one.status) || (one.status === "FAILED" && one.encryptedLocation !== "");
  const damaged = one.status === "FAILED" && complete;
  return (
    <>
      <PageHead
        title={nameOf(one)}
        back={{ href: to("backups"), label: "Backups" }}
        status={<Badge word={one.status} label={damaged ? "Damaged" : words(one.status)} />}
      >
        {active && may("BackupService.CancelBackup") && (
          <Button icon="stop" onClick={() => setAsking("cancel")}>
            Stop
          </Button>
        )}
        {complete && may("BackupService.VerifyBackup") && (
          <Button icon="shield" busy={verify.busy} onClick={() => void verify.run()}>
            {verify.busy ? "Verifying" : "Verify"}
          </Button>
        )}
        {complete && may("BackupService.RestoreBackup") && (
          <Button kind="main" icon="restore" onClick={() => setAsking("restore")}>
            Restore
          </Button>
        )}
        {!active && may("BackupService.DeleteBackup") && (
          <Button kind="danger" icon="trash" onClick={() => setAsking("delete")}>
            Delete
          </Button>
        )}
      </PageHead>
      {active && <Running backup={one} onChange={backup.soon} />}
      {verify.error && <Problem error={verify.error} />}
      {found && <Found verification={found} />}
      {!active && !found && one.message && <Note tone={one.status === "FAILED" ? "bad" : "info"}>{sentence(one.message)}</Note>}
      {one.warnings > 0 && (
        <Note tone="warn" title={`${count(one.warnings, "file")} could not be taken as they should`}>
          They changed, vanished or could not be read meanwhile; the backup lacks them or holds what could be read.
        </Note>
      )}
      <div class="columns">
        <Content backup={one} />
        <Keeping backup={one} {...(may("BackupService.UpdateBackup") ? { hold: () => void hold.run() } : {})} problem={hold.error} />
      </div>
      {one.databases.map((database) => (
        <Card key={database.name} title={`Database ${database.name}`}>
          <p class="muted">
            {words(database.engine)} · <Code>{database.origin}</Code>
          </p>
          <div class="tables">
            {database.tables.map((table) => (
              <span key={table.table}>
                {table.table} <b>{table.rows.toLocaleString()}</b>
              </span>
            ))}
          </div>
        </Card>
      ))}
      {complete && <Files backup={one} at={query.get("at") ?? ""} />}
      {asking === "restore" && <Restore backup={one} onClose={() => setAsking("")} />}
      {asking === "delete" && (
        <Confirm
          title="Delete this backup?"
          action="Delete for good"
          danger
          onClose={() => setAsking("")}
          act={async () => {
            const said = await remove(path);
            say(said);
            go(to("backups"));
            return undefined;
          }}
        >
          <p>
            <b>{nameOf(one)}</b>, {words(one.type).toLowerCase()}, taken <When time={one.createdAt} />, {bytes(one.size)}.
          </p>
          <p>Its key is destroyed: nobody can read it afterwards. What other backups share with it stays. This cannot be taken back.</p>
        </Confirm>
      )}
      {asking === "cancel" && (
        <Confirm
          title="Stop this backup?"
          action="Stop it"
          danger
          onClose={() => setAsking("")}
          act={async () => {
            backup.set(await post<Backup>(`${path}/cancel`));
            return "The backup was asked to stop.";
          }}
        >
          <p>Nothing is committed. What was already written is used again by the next run.</p>
        </Confirm>
      )}
    </>
  );
}

function Running({ backup, onChange }: { backup: Backup; onChange: () => void }) {
  const [progress, setProgress] = useState<Progress | null>(null);
  const [warnings, setWarnings] = useState<string[]>([]);
  const stream = useEvents<JobEvent>(
    `/api/backups/${backup.id}/watch`,
    (event) => {
      if (event.kind === "PROGRESS") setProgress(event.progress);
      if (event.kind === "WARNING") setWarnings((before) => [...before.slice(-19), event.message]);
      if (event.kind === "STARTED" || event.kind === "FINISHED") onChange();
    },
    () => false,
  );
  const label = backup.status === "PENDING" ? "Waiting for its turn" : backup.status === "VERIFYING" ? "Verifying" : "Backing up";
  return (
    <Card>
      <ProgressView progress={progress} stream={stream} label={label} />
      {warnings.length > 0 && (
        <ul class="plain">
          {warnings.map((warning) => (
            <li key={warning} class="text-warn">
              {warning}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Found({ verification }: { verification: Verification }) {
  const checks: [string, boolean][] = [
    ["Every object has its checksum", verification.checksumValid],
    ["Everything decrypts and is what it should be", verification.encryptionValid],
    ["Nothing is missing or cut off", verification.sizeValid],
  ];
  return (
    <Note
      tone={verification.valid ? "good" : "bad"}
      title={
        verification.valid
          ? "The backup is whole."
          : `The backup is damaged: ${count(verification.damagedFiles, "file")} cannot be restored whole.`
      }
    >
      <ul class="checks">
        {checks.map(([text, passed]) => (
          <li key={text} class={passed ? "text-good" : "text-bad"}>
            <Icon name={passed ? "check" : "close"} size={15} /> {text}
            <span class="unseen">: {passed ? "yes" : "no"}</span>
          </li>
        ))}
      </ul>
      <p class="muted">
        {count(verification.objectsChecked, "object")}, {bytes(verification.bytesChecked)} read
      </p>
      {verification.errors.length > 0 && (
        <ul class="plain">
          {verification.errors.slice(0, 20).map((error) => (
            <li key={error}>{error}</li>
          ))}
        </ul>
      )}
      {verification.damagedPaths.length > 0 && (
        <details>
          <summary>Damaged files</summary>
          <ul class="plain">
            {verification.damagedPaths.slice(0, 200).map((path) => (
              <li key={path}>
                <Code>{path}</Code>
              </li>
            ))}
          </ul>
        </details>
      )}
    </Note>
  );
}

function Content({ backup }: { backup: Backup }) {
  const numbers = backup.statistics;
  return (
    <Card title="Content">
      <div class="pair">
        <div>
          <p class="big">{bytes(backup.size)}</p>
          <p class="muted">{numbers ? count(numbers.files, "file") : "protected"}</p>
        </div>
        <div>
          <p class="big">{bytes(numbers?.bytesWritten ?? 0)}</p>
          <p class="muted">added to the repository</p>
        </div>
      </div>
      <Facts
        rows={[
          ["Type", words(backup.type)],
          ["Taken", <When key="t" time={backup.createdAt} />],
          numbers && numbers.durationMs > 0 && ["Took", duration(Math.max(1, numbers.durationMs / 1000))],
          numbers &&
            numbers.filesAdded + numbers.filesChanged + numbers.filesRemoved > 0 && [
              "Since the one before",
              `${numbers.filesAdded.toLocaleString()} new, ${numbers.filesChanged.toLocaleString()} changed, ${numbers.filesRemoved.toLocaleString()} gone`,
            ],
          ["Asked for by", backup.createdBy || "—"],
          backup.parentId && [
            "Compared with",
            <a key="p" href={to("backups", backup.parentId)}>
              the backup before
            </a>,
          ],
          backup.tags.length > 0 && [
            "Tags",
            backup.tags.map((tag) => (
              <span class="tag" key={tag}>
                {tag}
              </span>
            )),
          ],
        ]}
      />
    </Card>
  );
}

function Keeping({
  backup,
  hold,
  problem,
}: {
  backup: Backup;
  hold?: () => void;
  problem: Parameters<typeof Problem>[0]["error"] | undefined;
}) {
  return (
    <Card title="Keeping">
      <Facts
        rows={[
          ["Verified", <When key="v" time={backup.verifiedAt} none="not yet" />],
          ["Kept until", <When key="e" time={backup.expiresAt} none="for ever" />],
          backup.lockedUntil && ["Locked until", <When key="l" time={backup.lockedUntil} />],
          ["Hold", backup.legalHold ? "Nobody may delete it" : "None"],
          ["Key", backup.keyId ? <Code key="k">{backup.keyId}</Code> : "—"],
          backup.checksum && ["Content", <Code key="c">{backup.checksum}</Code>],
          ["Id", <Code key="i">{backup.id}</Code>],
        ]}
      />
      {problem && <Problem error={problem} />}
      {hold && (
        <p>
          <Button icon="lock" onClick={hold}>
            {backup.legalHold ? "Release the hold" : "Hold"}
          </Button>
        </p>
      )}
    </Card>
  );
}
