const paths = {
  overview: "M4 13h7V4H4v9zm0 7h7v-4H4v4zm9 0h7v-9h-7v9zm0-16v4h7V4h-7z",
  backups: "M4 7h16M4 7v11a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2V7M4 7l2-3h12l2 3M10 12h4",
  alerts: "M18 9a6 6 0 1 0-12 0c0 6-2 7-2 7h16s-2-1-2-7M10.5 20a1.8 1.8 0 0 0 3 0",
  offsite: "M7 18a4.5 4.5 0 0 1-.4-9A6 6 0 0 1 18 8.6 4.7 4.7 0 0 1 17.5 18H7z",
  recovery: "M4 12a8 8 0 1 0 2.6-5.9M4 4v4.5h4.5M12 8v4.5l3 1.8",
  schedules: "M5 6h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1zM4 10h16M8 3.5V7M16 3.5V7",
  keys: "M15 9.5a.5.5 0 1 0 0-1 .5.5 0 0 0 0 1zM14.5 14.5a5.5 5.5 0 1 0-5.2-3.7L4 16v4h4v-2h2v-2l1-1.2a5.5 5.5 0 0 0 3.5-.3z",
  audit: "M7 3.5h7l4 4V20a.5.5 0 0 1-.5.5h-10.5A.5.5 0 0 1 6.5 20V4a.5.5 0 0 1 .5-.5zM14 3.5V8h4M9.5 12.5h5M9.5 16h5",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 8.5v4.5M12 16.5v.1M12 3.5l9 16H3l9-16z",
  next: "M9.5 6l6 6-6 6",
  previous: "M14.5 6l-6 6 6 6",
  folder: "M3.5 18V6.5a1 1 0 0 1 1-1H10l2 2.5h7.5a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1z",
  file: "M7 3.5h7l4 4V20a.5.5 0 0 1-.5.5h-10.5A.5.5 0 0 1 6.5 20V4a.5.5 0 0 1 .5-.5zM14 3.5V8h4",
  database: "M12 10c3.9 0 7-1.3 7-3s-3.1-3-7-3-7 1.3-7 3 3.1 3 7 3zM5 7v10c0 1.7 3.1 3 7 3s7-1.3 7-3V7M5 12c0 1.7 3.1 3 7 3s7-1.3 7-3",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
  plus: "M12 5v14M5 12h14",
  play: "M8 5.5l10 6.5-10 6.5v-13z",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  stop: "M7 7h10v10H7z",
  retry: "M20 12a8 8 0 1 1-2.6-5.9M20 4v4.5h-4.5",
  skip: "M6 6l8 6-8 6V6zM17.5 6v12",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  shield: "M12 3.5l7 2.5v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6l7-2.5zM9 12l2.2 2.2L15.5 10",
  restore: "M4 12a8 8 0 1 0 2.6-5.9M4 4v4.5h4.5",
  person: "M12 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM5 20c.6-3.6 3.4-5.5 7-5.5s6.4 1.9 7 5.5",
  signOut: "M10 4H5.5a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1H10M14 8l4.5 4-4.5 4M18 12H9.5",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7.5V12l3 2",
  lock: "M6.5 11h11a.5.5 0 0 1 .5.5v8a.5.5 0 0 1-.5.5h-11a.5.5 0 0 1-.5-.5v-8a.5.5 0 0 1 .5-.5zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  up: "M12 19V6M6.5 11.5L12 6l5.5 5.5",
};

export type IconName = keyof typeof paths;

// Always beside words, or inside something that is named: nothing is said by a picture alone.
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
