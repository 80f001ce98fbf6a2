import { bytes, count, duration, words } from "../format";
import type { Stream } from "../live";
import type { Progress } from "../types";
import { Meter } from "../ui";

const lines: Record<Stream, string> = { connecting: "Connecting…", live: "Live", cut: "Connecting again…", ended: "" };

export function LiveMark({ stream }: { stream: Stream }) {
  return (
    <span class={`live ${stream}`} role="status">
      {lines[stream]}
    </span>
  );
}

export function ProgressView({ progress, stream, label }: { progress: Progress | null; stream: Stream; label: string }) {
  const known = progress && progress.bytesTotal > 0;
  return (
    <div class="progress">
      <div class="line">
        <span class="strong">{progress?.phase ? words(progress.phase) : label}</span>
        <LiveMark stream={stream} />
      </div>
      {known ? (
        <Meter value={progress.bytesDone} most={progress.bytesTotal} label={label} />
      ) : (
        <div class="meter moving" role="progressbar" aria-label={label}>
          <span />
        </div>
      )}
      {progress && (
        <p class="muted">
          {[
            progress.filesTotal
              ? `${progress.filesDone.toLocaleString()} of ${count(progress.filesTotal, "file")}`
              : progress.filesDone
                ? count(progress.filesDone, "file")
                : "",
            known ? `${bytes(progress.bytesDone)} of ${bytes(progress.bytesTotal)}` : progress.bytesDone ? bytes(progress.bytesDone) : "",
            progress.bytesPerSecond ? `${bytes(progress.bytesPerSecond)}/s` : "",
            progress.secondsLeft > 0 ? `${duration(progress.secondsLeft)} left` : "",
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      )}
      {progress?.current && <p class="muted clip">{progress.current}</p>}
    </div>
  );
}
