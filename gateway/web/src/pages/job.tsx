import { useState } from "preact/hooks";
import { get, post, sentence } from "../api";
import { useMay } from "../caller";
import { bytes, count, words } from "../format";
import { Icon } from "../icons";
import { useData } from "../live";
import { to } from "../router";
import type { Job } from "../types";
import { Badge, Button, Card, Code, Confirm, Facts, Loading, Note, PageHead, Problem, When } from "../ui";
import { ProgressView } from "./progress";
import { useJob } from "./restore";

export function JobPage({ id }: { id: string }) {
  const path = `/api/jobs/${encodeURIComponent(id)}`;
  const job = useData(path, (signal) => get<Job>(path, {}, signal));
  if (job.data) return <Followed first={job.data} />;
  return (
    <>
      <PageHead title="Job" back={{ href: to("backups"), label: "Backups" }} />
      {job.error ? <Problem error={job.error} retry={job.reload} /> : <Loading />}
    </>
  );
}

function Followed({ first }: { first: Job }) {
  const may = useMay();
  const { job, stream, problem, warnings } = useJob(first);
  const [stopping, setStopping] = useState(false);
  const back = job.backupId ? { href: to("backups", job.backupId), label: "The backup" } : { href: to("backups"), label: "Backups" };
  const ended = job.completedAt !== null;
  return (
    <>
      <PageHead title={words(job.kind)} back={back} status={<Badge word={job.status} />}>
        {!ended && may("BackupService.CancelJob") && (
          <Button icon="stop" onClick={() => setStopping(true)}>
            Stop
          </Button>
        )}
      </PageHead>
      {problem && <Problem error={problem} />}
      {!ended && (
        <Card>
          <ProgressView
            progress={job.progress}
            stream={stream}
            label={job.status === "PENDING" ? "Waiting for its turn" : words(job.kind)}
          />
        </Card>
      )}
      {ended && job.message && <Note tone={job.status === "FAILED" ? "bad" : "info"}>{sentence(job.message)}</Note>}
      {job.restore && ended && <Restored job={job} />}
      <Card title="Job">
        <Facts
          rows={[
            ["Asked for by", job.createdBy || "—"],
            ["Asked for", <When key="c" time={job.createdAt} />],
            ["Started", <When key="s" time={job.startedAt} none="not yet" />],
            ["Ended", <When key="e" time={job.completedAt} none="not yet" />],
            job.warnings > 0 && ["Warnings", job.warnings.toLocaleString()],
            ["Id", <Code key="i">{job.id}</Code>],
          ]}
        />
      </Card>
      {warnings.length > 0 && (
        <Card title="Warnings">
          <ul class="plain">
            {warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </Card>
      )}
      {stopping && (
        <Confirm
          title="Stop this job?"
          action="Stop it"
          danger
          onClose={() => setStopping(false)}
          act={async () => {
            await post(`/api/jobs/${job.id}/cancel`);
            return "The job was asked to stop.";
          }}
        >
          <p>What it has written so far stays where it is.</p>
        </Confirm>
      )}
    </>
  );
}

function Restored({ job }: { job: Job }) {
  const result = job.restore;
  if (!result) return null;
  const numbers: [number, string][] = [
    [result.filesRestored, "restored"],
    [result.filesSkipped, "kept as they were"],
    [result.filesFailed, "failed"],
  ];
  return (
    <Card title="Result">
      <div class="pair">
        {numbers.map(
          ([number, what]) =>
            (number > 0 || what === "restored") && (
              <div key={what}>
                <p class={what === "failed" ? "big text-bad" : "big"}>{number.toLocaleString()}</p>
                <p class="muted">
                  {number === 1 ? "entry" : "entries"} {what}
                </p>
              </div>
            ),
        )}
        <div>
          <p class="big">{bytes(result.bytesWritten)}</p>
          <p class="muted">written</p>
        </div>
      </div>
      <Facts rows={[["Target", <Code key="t">{result.target || "where it came from"}</Code>]]} />
      {result.checks.length > 0 && (
        <ul class="checks">
          {result.checks.map((check) => (
            <li key={check.name} class={check.passed ? "text-good" : "text-bad"}>
              <Icon name={check.passed ? "check" : "close"} size={15} />{" "}
              <span>
                <b>{check.name}</b> {check.message}
              </span>
            </li>
          ))}
        </ul>
      )}
      {result.preview.length > 0 && <p class="muted">{count(result.preview.length, "entry", "entries")} would be written.</p>}
    </Card>
  );
}
