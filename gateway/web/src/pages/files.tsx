import { useState } from "preact/hooks";
import { content, list } from "../api";
import { useMay } from "../caller";
import { bytes } from "../format";
import { Icon, type IconName } from "../icons";
import { useData } from "../live";
import type { Backup, FileEntry } from "../types";
import { Button, Card, Empty, Loading, Pager, Problem, say, usePages, useTask, When } from "../ui";

const icons: Partial<Record<FileEntry["type"], IconName>> = {
  DIRECTORY: "folder",
  DATABASE: "database",
  SYMLINK: "link",
  HARDLINK: "link",
};
const readable = ["FILE", "DATABASE", "HARDLINK"];
// A page holds what it downloads in memory; larger files are for the command line.
const mostDownload = 512 * 1024 * 1024;

export function name(path: string): string {
  return path.replace(/\/+$/, "").split("/").pop() || path;
}

export function Files({ backup, at }: { backup: Backup; at: string }) {
  const [path, setPath] = useState(at);
  return <Folder key={path} backup={backup} path={path} onOpen={setPath} />;
}

function Folder({ backup, path, onOpen }: { backup: Backup; path: string; onOpen: (path: string) => void }) {
  const may = useMay();
  const pages = usePages();
  const address = `/api/backups/${encodeURIComponent(backup.id)}/files`;
  const files = useData(`${address} ${path} ${pages.token}`, (signal) =>
    list<FileEntry>(address, { path, pageSize: 200, pageToken: pages.token }, signal),
  );
  const parts = path.split("/").filter(Boolean);
  return (
    <Card title="Files">
      <nav class="crumbs" aria-label="Folder">
        <button type="button" onClick={() => onOpen("")} aria-current={path === "" ? "page" : undefined}>
          Backup
        </button>
        {parts.map((part, index) => {
          const here = `/${parts.slice(0, index + 1).join("/")}`;
          return (
            <span key={here}>
              <Icon name="next" size={13} />
              <button type="button" onClick={() => onOpen(here)} aria-current={here === path ? "page" : undefined}>
                {part}
              </button>
            </span>
          );
        })}
      </nav>
      {files.error && <Problem error={files.error} retry={files.reload} />}
      {files.loading && !files.data && <Loading />}
      {files.data?.items.length === 0 && <Empty icon="folder" title="This folder is empty." />}
      {files.data && files.data.items.length > 0 && (
        <table class="files">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col" class="wide">
                Changed
              </th>
              <th scope="col" class="wide">
                Owner
              </th>
              <th scope="col">
                <span class="unseen">Download</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {files.data.items.map((file) => (
              <tr key={file.path}>
                <td>
                  <span class="file">
                    <Icon name={icons[file.type] ?? "file"} />
                    {file.type === "DIRECTORY" ? (
                      <button type="button" class="link" onClick={() => onOpen(file.path)}>
                        {path === "" ? file.path : name(file.path)}
                      </button>
                    ) : (
                      <span>
                        {path === "" ? file.path : name(file.path)}
                        {file.linkTarget && <span class="muted"> → {file.linkTarget}</span>}
                      </span>
                    )}
                  </span>
                </td>
                <td class="number">{file.type === "DIRECTORY" ? "" : bytes(file.size)}</td>
                <td class="wide">
                  <When time={file.modifiedAt} none="" />
                </td>
                <td class="wide muted">
                  {file.type === "DATABASE" ? "" : `${file.user}:${file.group} ${file.mode.toString(8).padStart(4, "0")}`}
                </td>
                <td class="number">
                  {readable.includes(file.type) && may("BackupService.ReadFile") && <Download backup={backup} file={file} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Pager pages={pages} next={files.data?.next ?? ""} shown={files.data?.items.length ?? 0} />
    </Card>
  );
}

function Download({ backup, file }: { backup: Backup; file: FileEntry }) {
  const task = useTask(async () => {
    if (file.size > mostDownload) {
      say(`${name(file.path)} is large: restore it, or read it with mosaajii backup restore.`);
      return;
    }
    const blob = await content(`/api/backups/${encodeURIComponent(backup.id)}/content`, { path: file.path });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name(file.path);
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  if (task.error)
    return (
      <span class="text-bad">{task.error.absent ? "This server reads no single files yet: restore it instead." : task.error.message}</span>
    );
  return (
    <Button
      kind="quiet"
      icon="download"
      busy={task.busy}
      aria-label={`Download ${name(file.path)}`}
      title="Download"
      onClick={() => void task.run()}
    />
  );
}
