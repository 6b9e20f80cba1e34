"""What ``collect`` does, written by hand for DuckDB: the strongest peer that the benchmark runs beside it.

    .venv/bin/python benchmarks/duckdb_peer.py access.log countries.mmdb OUT_FOLDER

It parses the combined format, counts lines by reason, finds countries and clients on distinct values, cuts sessions,
and writes the same four tables. What it lacks: a line with quotes inside quotes is broken here; addresses of IPv6 have
no country and are truncated as text; time zones of a log must be whole hours; the hash is DuckDB's, which is not keyed
and no secret; products, newsletters, the social and search referrers, per-file accounts and a rerun at the cost of one
day are missing; one second's hits have no total order.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import polars as pl

from privacy_metrics import clients, geography
from privacy_metrics.params import Period
from privacy_metrics.technical import midnights

LINES = """
CREATE TEMP TABLE lines AS
WITH cut AS (
    SELECT string_split(line, '"') AS p
    FROM read_csv(getvariable('log'), delim = '\\x01', quote = '', escape = '', header = false, auto_detect = false,
                  columns = {'line': 'VARCHAR'}, max_line_size = 10000000, strict_mode = false, parallel = true)
), fields AS (
    SELECT string_split(p[1], ' ') AS head, string_split(p[2], ' ') AS request,
           try_cast(substr(p[3], 2, 3) AS SMALLINT) AS status, p[4] AS referrer, p[6] AS agent, len(p) AS parts
    FROM cut
), typed AS (
    SELECT head[1] AS address, head[3] AS account, request[1] AS method, split_part(request[2], '?', 1) AS path,
           status, referrer, agent, parts,
           epoch(try_strptime(substr(head[4], 2), '%d/%b/%Y:%H:%M:%S'))::BIGINT
               - try_cast(substr(head[5], 1, 3) AS INTEGER) * 3600 AS time
    FROM fields
)
SELECT address, account, time, path, referrer, agent,
       CASE WHEN time IS NULL OR status IS NULL OR parts < 7 OR path NOT LIKE '/%' THEN 'broken'
            WHEN time < getvariable('first') OR time >= getvariable('past') THEN 'outside period'
            WHEN method NOT IN ('GET', 'POST', 'PUT', 'PATCH', 'DELETE') THEN 'probe'
            WHEN status >= 400 OR status < 200 THEN 'error'
            WHEN status >= 300 AND status <> 304 THEN 'redirect'
            WHEN lower(regexp_extract(path, '\\.([A-Za-z0-9]{1,5})$', 1)) IN (
                'css', 'js', 'map', 'png', 'jpg', 'jpeg', 'gif', 'ico', 'svg', 'webp', 'avif', 'woff', 'woff2', 'ttf',
                'otf', 'eot', 'mp4', 'webm') THEN 'static file'
       END AS reason
FROM typed
"""

DISTINCT = """
CREATE TEMP TABLE countries_of AS
WITH octets AS (
    SELECT address, string_split(address, '.') AS o FROM (SELECT DISTINCT address FROM lines WHERE reason IS NULL)
), keyed AS (
    SELECT address, o,
           CASE WHEN len(o) = 4 THEN try_cast(o[1] AS UBIGINT) * 16777216 + try_cast(o[2] AS UBIGINT) * 65536
                                     + try_cast(o[3] AS UBIGINT) * 256 + try_cast(o[4] AS UBIGINT) ELSE 0 END AS ip
    FROM octets
)
SELECT address, coalesce(country, 'unknown') AS country,
       CASE WHEN len(o) = 4 THEN o[1] || '.' || o[2]
            ELSE split_part(address, ':', 1) || ':' || split_part(address, ':', 2) END AS network
FROM keyed ASOF LEFT JOIN ranges ON keyed.ip >= ranges.start;

CREATE TEMP TABLE areas_of AS
SELECT path, CASE WHEN path = '/' THEN 'home' ELSE coalesce(nullif(lower(
    regexp_extract(path, '^/([A-Za-z][A-Za-z0-9_-]{0,39})(?:/|$)', 1)), ''), 'other') END AS area
FROM (SELECT DISTINCT path FROM lines WHERE reason IS NULL);

CREATE TEMP TABLE sites_of AS
SELECT referrer, CASE WHEN referrer IN ('-', '') THEN 'none'
    ELSE regexp_replace(lower(regexp_extract(referrer, '^[a-z]+://([^/:?#]+)', 1)), '^www\\.', '') END AS site
FROM (SELECT DISTINCT referrer FROM lines WHERE reason IS NULL);
"""

HITS = """
CREATE TEMP TABLE hits AS
SELECT hash(CASE WHEN account <> '-' THEN account ELSE network || ' ' || agent END) AS visitor, time,
       account <> '-' AS account, country, client, site, area
FROM lines JOIN countries_of USING (address) JOIN areas_of USING (path) JOIN sites_of USING (referrer)
     JOIN clients_of USING (agent)
WHERE reason IS NULL AND NOT crawler;
CREATE TEMP TABLE account AS
SELECT coalesce(CASE WHEN reason IN ('broken', 'outside period') THEN reason WHEN crawler THEN 'crawler'
                     ELSE reason END, 'used') AS reason, count(*) AS lines
FROM lines LEFT JOIN clients_of USING (agent) GROUP BY ALL;
DROP TABLE lines;

CREATE TEMP TABLE moves AS
SELECT *, sum(starts) OVER w AS session FROM (
    SELECT *, lag(area) OVER w AS last_area,
           coalesce(time - lag(time) OVER w > 1800, true)::INTEGER AS starts
    FROM hits WINDOW w AS (PARTITION BY visitor ORDER BY time)
) WINDOW w AS (PARTITION BY visitor ORDER BY time ROWS UNBOUNDED PRECEDING);
DROP TABLE hits;

CREATE TEMP TABLE sessions AS
SELECT visitor, session, min(time) AS start, max(time) AS "end", count(*) AS hits, any_value(account) AS account,
       arg_min(country, time) AS country, arg_min(client, time) AS client, arg_min(site, time) AS site,
       arg_min(area, time) AS entry_area, arg_max(area, time) AS exit_area
FROM moves GROUP BY visitor, session;

COPY (
    SELECT sessions.* EXCLUDE (client), browser, browser_version, os, device
    FROM sessions JOIN clients_of USING (client)
) TO 'sessions.parquet' (FORMAT parquet, COMPRESSION zstd);
COPY (SELECT visitor, session, area, count(*) AS hits FROM moves GROUP BY ALL)
    TO 'areas.parquet' (FORMAT parquet, COMPRESSION zstd);
COPY (SELECT visitor, session, last_area AS from_area, area AS to_area, count(*) AS hits
      FROM moves WHERE starts = 0 AND area <> last_area GROUP BY ALL)
    TO 'steps.parquet' (FORMAT parquet, COMPRESSION zstd);
COPY account TO 'account.parquet' (FORMAT parquet, COMPRESSION zstd);
"""


def main() -> None:
    log, mmdb, folder = (Path(argument).resolve() for argument in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    bounds = midnights(Period.parse("2026Q3"), "Europe/Helsinki").tolist()
    for name, value in (("log", str(log)), ("first", bounds[0]), ("past", bounds[-1])):
        connection.execute(f"SET VARIABLE {name} = $1", [value])
    countries = geography.load(mmdb)
    ranges = pl.DataFrame(
        {
            "start": countries.v4.starts,
            "country": pl.Series(countries.names).gather(countries.v4.country.astype("uint32")),
        }
    )
    connection.register("ranges_frame", ranges.to_arrow())
    connection.execute("CREATE TEMP TABLE ranges AS SELECT * FROM ranges_frame")
    connection.execute(LINES)
    agents = connection.sql("SELECT DISTINCT agent FROM lines WHERE agent IS NOT NULL").pl()["agent"]
    found = clients.resolve(agents).with_columns(agents.alias("agent")).with_row_index("client")
    connection.register("clients_frame", found.to_arrow())
    connection.execute("CREATE TEMP TABLE clients_of AS SELECT * FROM clients_frame")
    connection.execute(DISTINCT)
    connection.execute(HITS.replace("TO '", f"TO '{folder}/"))


if __name__ == "__main__":
    main()
