# The Debian package: `make package`. Man pages, completion and the settings files are made from what the programs say of themselves, so
# that they can't tell another story.
set(package_folder ${CMAKE_CURRENT_LIST_DIR})
set(made ${CMAKE_BINARY_DIR}/package-files)

add_custom_target(package-files
  COMMAND python3 ${package_folder}/make_files.py ${CMAKE_BINARY_DIR}/bin ${CMAKE_SOURCE_DIR}/server/common/settings.def ${made}
  DEPENDS mosaajii mosaajii-server mosaajii-engine
  VERBATIM)

install(TARGETS mosaajii mosaajii-server mosaajii-engine RUNTIME DESTINATION bin)
install(PROGRAMS ${CMAKE_BINARY_DIR}/bin/mosaajii-gateway DESTINATION bin)
install(FILES ${package_folder}/mosaajii-server.service ${package_folder}/mosaajii-gateway.service DESTINATION lib/systemd/system)
install(FILES ${made}/mosaajii.env ${made}/gateway.env DESTINATION /etc/mosaajii)
install(FILES ${made}/mosaajii.1.gz ${made}/mosaajii-engine.1.gz DESTINATION share/man/man1)
install(FILES ${made}/mosaajii.env.5.gz DESTINATION share/man/man5)
install(FILES ${made}/mosaajii-server.8.gz ${made}/mosaajii-gateway.8.gz DESTINATION share/man/man8)
install(FILES ${made}/mosaajii DESTINATION share/bash-completion/completions)
install(FILES ${CMAKE_SOURCE_DIR}/README.md DESTINATION share/doc/mosaajii-backup)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION share/doc/mosaajii-backup RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mosaajii-backup)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Backup and disaster recovery server")
set(CPACK_PACKAGE_DESCRIPTION "Backups of databases, files and configuration: encrypted, deduplicated,
incremental, verified and restorable, with copies offsite and recovery plans
that are tested. A server with gRPC and REST, a dashboard and a command line.")
set(CPACK_PACKAGE_CONTACT "Mosaajii Backup maintainers <maintainers@mosaajii.example>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54~), ca-certificates, tzdata")
# Each database is dumped and loaded by its server's own programs.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql-client, default-mysql-client")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${package_folder}/postinst ${package_folder}/prerm ${package_folder}/postrm ${package_folder}/conffiles)
include(CPack)
