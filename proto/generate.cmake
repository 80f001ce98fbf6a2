# C from the protos: messages by protobuf-c, services by this project's own plugin.
#
#   mos_proto_wkt      google.protobuf.Timestamp and what the plugin reads
#   mos_proto_engine   messages between server and engine
#   mos_proto_backup   messages of the public API
#   mos_proto_recovery what the server keeps of recovery runs
#   mos_proto_grpc     health, reflection and status messages
#   mos_proto_server   typed server tables of the public API, and its descriptor set
#   mos_proto_client   typed client stubs of the public API
set(MOS_GEN ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${MOS_GEN})
set(MOS_PROTO_PATHS -I${CMAKE_SOURCE_DIR}/proto -I/usr/share/grpc-proto -I/usr/include)

# protoc-c 1.4 knows proto3's `optional` but forgets to say so; the wrapper says it.
set(MOS_PROTOC_GEN_C ${CMAKE_SOURCE_DIR}/proto/protoc-gen-c-optional)

# mos_generate(out_list KIND message|server|client FILES a/b.proto …): adds the commands, returns the C files.
function(mos_generate out_list)
  cmake_parse_arguments(ARG "" "KIND" "FILES" ${ARGN})
  set(generated "")
  foreach(file ${ARG_FILES})
    string(REGEX REPLACE "\\.proto$" "" stem ${file})
    set(root "")
    foreach(candidate ${CMAKE_SOURCE_DIR}/proto /usr/share/grpc-proto /usr/include)
      if(NOT root AND EXISTS ${candidate}/${file})
        set(root ${candidate})
      endif()
    endforeach()
    if(ARG_KIND STREQUAL message)
      set(outputs ${MOS_GEN}/${stem}.pb-c.c ${MOS_GEN}/${stem}.pb-c.h)
      set(plugin --plugin=protoc-gen-c=${MOS_PROTOC_GEN_C} --c_out=${MOS_GEN})
      set(needs ${MOS_PROTOC_GEN_C})
    else()
      set(outputs ${MOS_GEN}/${stem}.grpc-${ARG_KIND}.c ${MOS_GEN}/${stem}.grpc-${ARG_KIND}.h)
      set(plugin --plugin=protoc-gen-mosaajii-grpc=$<TARGET_FILE:protoc-gen-mosaajii-grpc> --mosaajii-grpc_out=${ARG_KIND}:${MOS_GEN})
      set(needs protoc-gen-mosaajii-grpc)
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND ${PROTOC} ${MOS_PROTO_PATHS} ${plugin} ${file}
      DEPENDS ${root}/${file} ${needs}
      COMMENT "Generating ${stem} (${ARG_KIND})"
      VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  set(${out_list} ${generated} PARENT_SCOPE)
endfunction()

function(mos_proto_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${MOS_GEN})
  target_link_libraries(${name} PUBLIC PkgConfig::PROTOBUF_C ${ARG_LINK})
  target_compile_options(${name} PRIVATE -Wno-error)
  # Whoever includes a generated header must wait until it is written.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

file(GLOB MOS_PUBLIC_PROTOS RELATIVE ${CMAKE_SOURCE_DIR}/proto CONFIGURE_DEPENDS proto/mosaajii/backup/v1/*.proto)
list(TRANSFORM MOS_PUBLIC_PROTOS PREPEND ${CMAKE_SOURCE_DIR}/proto/ OUTPUT_VARIABLE MOS_PUBLIC_PROTOS_ABSOLUTE)

mos_generate(wkt KIND message FILES google/protobuf/timestamp.proto google/protobuf/any.proto google/protobuf/descriptor.proto
             google/protobuf/compiler/plugin.proto)
mos_proto_library(mos_proto_wkt SOURCES ${wkt})
mos_generate(engine KIND message FILES mosaajii/engine/v1/engine.proto mosaajii/engine/v1/repository.proto)
mos_proto_library(mos_proto_engine SOURCES ${engine})
mos_generate(backup KIND message FILES ${MOS_PUBLIC_PROTOS})
mos_proto_library(mos_proto_backup SOURCES ${backup} LINK mos_proto_wkt)
mos_generate(recovery KIND message FILES mosaajii/recovery/v1/run.proto)
mos_proto_library(mos_proto_recovery SOURCES ${recovery} LINK mos_proto_backup)

# The plugin
add_library(mos_plugin STATIC ${CMAKE_CURRENT_LIST_DIR}/plugin/generate.c)
target_include_directories(mos_plugin PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(mos_plugin PUBLIC mos_proto_wkt mos_common)
add_executable(protoc-gen-mosaajii-grpc ${CMAKE_CURRENT_LIST_DIR}/plugin/main.c)
target_link_libraries(protoc-gen-mosaajii-grpc PRIVATE mos_plugin)

mos_generate(grpc KIND message FILES grpc/health/v1/health.proto grpc/reflection/v1/reflection.proto mosaajii/rpc/v1/status.proto)
mos_proto_library(mos_proto_grpc SOURCES ${grpc} LINK mos_proto_wkt)

# mos_descriptor_set: what reflection answers from, with the comments.
add_custom_command(
  OUTPUT ${MOS_GEN}/descriptor_set.c
  COMMAND ${PROTOC} ${MOS_PROTO_PATHS} --include_imports --include_source_info --descriptor_set_out=${MOS_GEN}/descriptor_set.bin
          ${MOS_PUBLIC_PROTOS} grpc/health/v1/health.proto grpc/reflection/v1/reflection.proto grpc/reflection/v1alpha/reflection.proto
  COMMAND ${CMAKE_COMMAND} -DINPUT=${MOS_GEN}/descriptor_set.bin -DOUTPUT=${MOS_GEN}/descriptor_set.c -DNAME=mos_descriptor_set
          -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  DEPENDS ${MOS_PUBLIC_PROTOS_ABSOLUTE} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  COMMENT "Embedding the descriptor set"
  VERBATIM)

mos_generate(grpc_server KIND server FILES grpc/health/v1/health.proto grpc/reflection/v1/reflection.proto)
mos_generate(server KIND server FILES ${MOS_PUBLIC_PROTOS})
mos_proto_library(mos_proto_server SOURCES ${server} ${MOS_GEN}/descriptor_set.c LINK mos_proto_backup mos_rpc)
mos_generate(client KIND client FILES ${MOS_PUBLIC_PROTOS})
mos_proto_library(mos_proto_client SOURCES ${client} LINK mos_proto_backup mos_client_rpc)
