import { useState } from "preact/hooks";
import { post } from "../api";
import { words } from "../format";
import { go, to } from "../router";
import { type Backup, type BackupType, backupTypes, type SourceStatus } from "../types";
import { Button, Check, Dialog, Problem, Select, TextField, useTask } from "../ui";

const meanings: Record<BackupType, string> = {
  FULL: "Everything that is configured, read again.",
  INCREMENTAL: "Everything that is configured; only what changed since the newest backup is read. It restores alone.",
  DIFFERENTIAL: "Everything that is configured; only what changed since the newest full backup is read. It restores alone.",
  DATABASE: "The configured databases.",
  FILES: "The configured files.",
  CONFIGURATION: "The configured configuration files.",
};

export function CreateBackup({ type: first, sources, onClose }: { type: BackupType; sources: SourceStatus[]; onClose: () => void }) {
  const [type, setType] = useState<BackupType>(first);
  const [name, setName] = useState("");
  const [tags, setTags] = useState("");
  const [days, setDays] = useState("");
  const [verify, setVerify] = useState(true);
  const task = useTask(async () => {
    const backup = await post<Backup>("/api/backups", {
      type,
      integrityCheckEnabled: verify,
      ...(name.trim() ? { name: name.trim() } : {}),
      ...(days ? { retentionDays: Number(days) } : {}),
      tags: tags.split(",").flatMap((tag) => tag.trim() || []),
    });
    onClose();
    go(to("backups", backup.id));
  });
  const source = sources.find((one) => one.type === type);
  return (
    <Dialog title="Back up now" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void task.run();
        }}
      >
        <Select
          label="What"
          value={type}
          options={backupTypes.map((one) => [one, words(one)])}
          onPick={setType}
          hint={source ? `${meanings[type]} ${source.source}` : meanings[type]}
        />
        <TextField label="Name" value={name} onText={setName} maxlength={200} placeholder="Type and time, where you name none" />
        <div class="pair">
          <TextField label="Keep for days" value={days} onText={setDays} type="number" min={1} max={36500} placeholder="As configured" />
          <TextField label="Tags" value={tags} onText={setTags} placeholder="Separated by commas" />
        </div>
        <Check label="Verify it right away" hint="Reads back all that was written." checked={verify} onCheck={setVerify} />
        {task.error && <Problem error={task.error} />}
        <footer>
          <Button onClick={onClose}>Not now</Button>
          <Button type="submit" kind="main" busy={task.busy}>
            Back up
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
