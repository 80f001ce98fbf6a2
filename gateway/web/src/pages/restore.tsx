import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { get, post } from "../api";
import { CallerContext } from "../caller";
import { count, nameOf } from "../format";
import { useEvents } from "../live";
import { go, to } from "../router";
import type { Backup, Job, JobEvent } from "../types";
import { Button, Check, Code, Dialog, Note, Problem, Select, TextArea, TextField, useTask } from "../ui";
import { ProgressView } from "./progress";

type Existing = "KEEP" | "REPLACE" | "REFUSE";

// First what would be written, then the restore itself: what is shown is what the engine found, of this backup and this target.
export function Restore({ backup, onClose }: { backup: Backup; onClose: () => void }) {
  const caller = useContext(CallerContext);
  const [target, setTarget] = useState("");
  const [include, setInclude] = useState("");
  const [existing, setExisting] = useState<Existing>("REFUSE");
  const [inPlace, setInPlace] = useState(false);
  const [preview, setPreview] = useState<Job>();
  const request = () => ({
    target: inPlace ? "" : target.trim(),
    include: include.split("\n").flatMap((line) => line.trim() || []),
    existing,
    inPlace,
  });
  const path = `/api/backups/${encodeURIComponent(backup.id)}/restore`;
  const look = useTask(async () => setPreview(await post<Job>(path, { ...request(), preview: true })));
  const start = useTask(async () => {
    const job = await post<Job>(path, request());
    onClose();
    go(to("jobs", job.id));
  });
  const change = (then: () => void) => {
    setPreview(undefined);
    then();
  };
  return (
    <Dialog title={`Restore ${nameOf(backup)}`} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void (preview ? start : look).run();
        }}
      >
        <TextField
          label="Where to"
          value={inPlace ? "" : target}
          disabled={inPlace}
          onText={(text) => change(() => setTarget(text))}
          placeholder="A new folder below the restore root"
          hint="A folder on the server, below one of its restore roots; for a database also postgresql://… or mysql://…"
        />
        <TextArea
          label="Only these paths"
          value={include}
          rows={2}
          onText={(text) => change(() => setInclude(text))}
          hint="One a line, each with all that lies below it; empty means everything."
        />
        <Select<Existing>
          label="What is there already"
          value={existing}
          options={[
            ["REFUSE", "Stop before anything is written"],
            ["KEEP", "Keep it, and restore the rest"],
            ["REPLACE", "Replace it"],
          ]}
          onPick={(word) => change(() => setExisting(word))}
        />
        {caller.role === "ADMIN" && (
          <Check
            label="Restore to where it came from"
            hint="Writes over the live files and databases of this machine."
            checked={inPlace}
            onCheck={(on) => change(() => setInPlace(on))}
          />
        )}
        {preview && <Preview key={preview.id} first={preview} />}
        {(look.error ?? start.error) && <Problem error={(look.error ?? start.error) as NonNullable<typeof look.error>} />}
        {preview && inPlace && <Note tone="warn">This writes over what is in use on this machine now.</Note>}
        <footer>
          <Button onClick={onClose}>Close</Button>
          {preview ? (
            <Button type="submit" kind={inPlace || existing === "REPLACE" ? "danger" : "main"} icon="restore" busy={start.busy}>
              Restore now
            </Button>
          ) : (
            <Button type="submit" kind="main" busy={look.busy}>
              Preview
            </Button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}

function Preview({ first }: { first: Job }) {
  const { job, stream, problem } = useJob(first);
  const box = useRef<HTMLElement>(null);
  const ended = job.completedAt !== null;
  useEffect(() => {
    if (ended) box.current?.scrollIntoView({ block: "end" });
  }, [ended]);
  if (problem) return <Problem error={problem} />;
  if (!job.completedAt) return <ProgressView progress={job.progress} stream={stream} label="Looking at what would be written" />;
  if (!job.restore || job.status === "FAILED") return <Note tone="bad">{job.message || "The preview failed."}</Note>;
  const shown = job.restore.preview;
  return (
    <section class="preview" aria-label="Preview" ref={box}>
      <p>
        <b>{count(shown.length, "entry", "entries")}</b>
        {shown.length >= 1000 && " or more"} would be written to <Code>{job.restore.target || "where they came from"}</Code>.
      </p>
      <ul class="plain scroll">
        {shown.map((line) => (
          <li key={line}>
            <Code>{line}</Code>
          </li>
        ))}
      </ul>
    </section>
  );
}

// A job, followed to its end.
export function useJob(first: Job) {
  const [job, setJob] = useState(first);
  const [problem, setProblem] = useState<Parameters<typeof Problem>[0]["error"]>();
  const [turn, setTurn] = useState(0);
  const [warnings, setWarnings] = useState<string[]>([]);
  const ended = job.completedAt !== null;
  const stream = useEvents<JobEvent>(
    ended ? null : `/api/jobs/${first.id}/watch`,
    (event) => {
      if (event.kind === "PROGRESS") setJob((before) => ({ ...before, progress: event.progress, status: event.jobStatus }));
      else if (event.kind === "WARNING") setWarnings((before) => [...before.slice(-99), event.message]);
      else setTurn((before) => before + 1);
    },
    (event) => event.kind === "FINISHED",
  );
  useEffect(() => {
    if (!turn) return;
    get<Job>(`/api/jobs/${first.id}`).then(setJob, setProblem);
  }, [turn, first.id]);
  return { job, stream, problem, warnings };
}
