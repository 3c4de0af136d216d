# Millrace. Two targets:
#   services    (default) one service a process, on Kafka and ClickHouse: docker-compose.yml
#   standalone  everything in one process, with the embedded ClickHouse engine (550 MB more):
#               docker build --target standalone -t millrace-standalone .
#               docker run -p 127.0.0.1:8700:8700 -v millrace:/data -e MILLRACE_ADMIN_KEY=... millrace-standalone
FROM node:24.9.0-bookworm-slim AS base

FROM base AS build
WORKDIR /build
COPY . .
# Build scripts of packages are not needed: native parts come prebuilt.
RUN npm ci --ignore-scripts --no-audit --no-fund && npx tsc -b services/standalone
# Then what runs, and no more: packages without those for development; of ours the manifest, the command, dist, migrations and data.
RUN npm ci --omit=dev --workspace services/standalone --ignore-scripts --no-audit --no-fund \
 && find libs services -mindepth 2 -maxdepth 2 ! -name package.json ! -name bin ! -name dist ! -name migrations ! -name data -exec rm -rf {} + \
 && find libs services -path '*/dist/*' \( -name '*.d.ts' -o -name '*.map' -o -name '*.test.js' -o -name '*.suite.js' -o -name '*.fixture.js' -o -name '.tsbuildinfo' \) -delete \
 && rm -rf libs/testing libs/sdk node_modules/@millrace/testing node_modules/@millrace/sdk

FROM base AS packages
WORKDIR /millrace
COPY --from=build /build/LICENSE /build/NOTICE /build/package.json ./
COPY --from=build /build/libs libs
COPY --from=build /build/services services

FROM packages AS runtime
ENV NODE_ENV=production MILLRACE_HOST=0.0.0.0 MILLRACE_DATA_DIR=/data
RUN mkdir /data && chown node:node /data
VOLUME /data
EXPOSE 8700
# The number of the user node, so that a cluster can see that it is not root.
USER 1000:1000
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MILLRACE_PORT || 8700}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/millrace/services/standalone/bin/millrace"]
CMD ["start"]

FROM runtime AS standalone
COPY --from=build /build/node_modules node_modules

FROM build AS without-engine
RUN rm -rf node_modules/chdb node_modules/@chdb

FROM runtime AS services
COPY --from=without-engine /build/node_modules node_modules
CMD ["--help"]
